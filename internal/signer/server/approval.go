package server

import (
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/signer"
)

func (i *Issuer) approvalRevokes(a approval.Signed, now time.Time) (revocationAsked, error) {
	return revocationAsked{}, refuse(signer.CodeApprovalMissing, "x")
}
