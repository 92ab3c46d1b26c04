package fulfillment

import "strings"

// withdrawals are the reasons that a revocation bundle gives, from the signer's closed lists, in words for the customer.
var withdrawals = map[string]string{
	"refunded":            "the payment was refunded",
	"payment-disputed":    "the payment is disputed with the bank",
	"dispute-lost":        "the payment was charged back",
	"contract-ended":      "the contract ended",
	"terms-broken":        "the terms were broken",
	"issued-in-error":     "it was issued in error",
	"replaced":            "it was replaced",
	"on-customer-request": "you asked for it",
	"leaked-file":         "its file leaked",
	"key-compromise":      "the key that signed it is no longer safe",
}

// WithdrawalWords says why a revocation bundle names a license, as the end of a sentence; a reason that is not known here
// stands for itself.
func WithdrawalWords(reason string) string {
	if words, ok := withdrawals[strings.ReplaceAll(reason, "_", "-")]; ok {
		return words
	}
	return reason
}
