package enforce

import (
	"sync/atomic"

	"github.com/metrum-ai/licensing-portal/license"
)

// refusalCodes are the codes that requests are refused with, in the order in which metrics list them.
var refusalCodes = [...]license.Code{
	license.CodeExpired, license.CodeFeatureForbidden, license.CodeLimitExceeded, license.CodeSkinForbidden,
	license.CodeAdminLimit, license.CodeRetentionLimit, license.CodeRevoked, license.CodeSuspended,
	license.CodeSuperseded, license.CodeVolumeExceeded, license.CodeWindowExceeded, license.CodeConcurrency,
	license.CodeMissing, license.CodeInvalid, license.CodeNotYetValid, license.CodeProductMismatch,
	license.CodeInstanceLimit, license.CodeClockRollback, license.CodeRevocationMissing, license.CodeRevocationFailed,
	license.CodeStateError,
}

// refusals counts refused requests by code, since the process started.
type refusals [len(refusalCodes)]atomic.Int64

// refuse counts the refusal and returns it.
func (m *Manager) refuse(err *license.Error) error {
	for i, code := range refusalCodes {
		if code == err.Code {
			m.refused[i].Add(1)
		}
	}
	return err
}
