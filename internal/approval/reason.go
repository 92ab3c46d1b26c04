package approval

import "slices"

// Reason says why, from a closed list for each action.
type Reason string

// Why an order is issued: what its invoice stands for instead of a payment that Stripe saw.
const (
	ReasonNetTerms  Reason = "net_terms"   // it is due later
	ReasonOutOfBand Reason = "out_of_band" // it was paid outside Stripe
	ReasonBalance   Reason = "balance"     // it was paid from a balance or a credit note
	ReasonContract  Reason = "contract"    // its price, term or limits are a contract's
)

// Why a license is replaced. ReasonKeyRotation is a bulk rotation's as well.
const (
	ReasonCorrection  Reason = "correction"
	ReasonScopeChange Reason = "scope_change"
	ReasonExtension   Reason = "extension"
	ReasonKeyRotation Reason = "key_rotation"
	ReasonLostFile    Reason = "lost_file"   // that was never right
	ReasonLeakedFile  Reason = "leaked_file" // the base may be superseded at once
)

// Why a key's licenses are replaced in bulk, beside ReasonKeyRotation.
const ReasonKeyCompromise Reason = "key_compromise"

// Why the revocation bundle says something else from now on, beside ReasonLeakedFile and ReasonKeyCompromise. The bundle is
// public, and so is the reason in it.
const (
	ReasonRefunded      Reason = "refunded"
	ReasonDisputed      Reason = "payment_disputed"
	ReasonContractEnded Reason = "contract_ended"
	ReasonTermsBroken   Reason = "terms_broken"
	ReasonIssuedInError Reason = "issued_in_error"
	ReasonReplaced      Reason = "replaced"
	ReasonOnRequest     Reason = "on_customer_request"
	ReasonResolved      Reason = "resolved" // of a reinstatement
)

// Reasons lists the reasons that a request for an action may give, in the order in which pages offer them.
func Reasons(action Action) []Reason {
	switch action {
	case ActionIssue:
		return []Reason{ReasonNetTerms, ReasonOutOfBand, ReasonBalance, ReasonContract}
	case ActionReplace:
		return []Reason{ReasonCorrection, ReasonScopeChange, ReasonExtension, ReasonKeyRotation, ReasonLostFile, ReasonLeakedFile}
	case ActionRotate:
		return []Reason{ReasonKeyRotation, ReasonKeyCompromise}
	case ActionRevoke:
		return []Reason{ReasonRefunded, ReasonDisputed, ReasonContractEnded, ReasonTermsBroken, ReasonIssuedInError,
			ReasonReplaced, ReasonLeakedFile, ReasonKeyCompromise, ReasonOnRequest, ReasonResolved}
	}
	return nil
}

func (r Reason) of(action Action) bool { return slices.Contains(Reasons(action), r) }
