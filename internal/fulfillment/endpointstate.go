package fulfillment

// EndpointState is how the portal's webhook endpoint stands at Stripe.
type EndpointState string

// The states. All but the first are alarms; "portal catalog push" mends them, except for another API version.
const (
	EndpointEnabled  EndpointState = "enabled"
	EndpointDisabled EndpointState = "disabled" // Stripe gives up an endpoint that keeps failing
	EndpointMissing  EndpointState = "missing"
	EndpointVersion  EndpointState = "wrong-version" // its events cannot be read right
	EndpointEvents   EndpointState = "lacks-events"
	EndpointUnknown  EndpointState = "unknown" // it was never looked at, or the key may not
)

// EndpointStates lists them all.
func EndpointStates() []EndpointState {
	return []EndpointState{EndpointEnabled, EndpointDisabled, EndpointMissing, EndpointVersion, EndpointEvents, EndpointUnknown}
}
