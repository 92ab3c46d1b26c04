package enforce

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
	"github.com/metrum-ai/licensing-portal/license/internal/regular"
)

// Defaults of Config.
const (
	DefaultRecheckInterval = time.Minute
	DefaultRequestBlock    = 1_000
	DefaultTokenBlock      = 100_000
)

const maxFingerprintFile = 4 << 10 // bytes

// Config says what to enforce. Path and Ring are required. At most one of the three fingerprints may be set.
type Config struct {
	Path            string           // of the license file
	Ring            *license.KeyRing // the keys the router trusts, for licenses and revocation bundles
	Fingerprint     string           // of this instance, raw; "" for none
	FingerprintFile string           // a file that holds it
	FingerprintEnv  string           // an environment variable that holds it
	RecheckInterval time.Duration    // 0: DefaultRecheckInterval; a changed file is noticed within a second while Run runs
	GracePeriod     time.Duration    // grace_period_on_validation_error; 0: none
	Revocation      Revocation
	State           State
	RouterVersion   string           // shown in the safe status
	Clock           func() time.Time // nil: time.Now
	Logger          *slog.Logger     // nil: no log
}

// What a router does about revocation bundles.
const (
	RevocationOff  = "off"
	RevocationFile = "file"
)

// Revocation says where the revocation bundle is and how much the router insists on it.
type Revocation struct {
	Mode           string // RevocationOff (also when empty) or RevocationFile
	Path           string // of the bundle; RevocationFile needs it
	RequireCurrent bool   // no bundle, or one past its expires_at: license-revocation-required
	FailClosed     bool   // a bundle that is missing or refused: license-revocation-check-failed
}

// State says where counters, clock floor and revocation epoch are kept. Without a path they live in memory, and a
// license that limits volume is license-state-error.
type State struct {
	Path         string // of the state file; Path + ".alt" and ".lock" stand beside it
	MustExist    bool   // a missing state is license-state-error instead of a new one
	Secret       []byte // mixed into the key of the file's HMAC; see the README for what that can and cannot do
	RequestBlock int64  // requests taken from the budget at once; 0: DefaultRequestBlock
	TokenBlock   int64  // tokens taken from the budget at once; 0: DefaultTokenBlock
}

// Validate reports every problem of the configuration at once.
func (c Config) Validate() error {
	var problems []error
	refuse := func(bad bool, problem string) {
		if bad {
			problems = append(problems, errors.New("enforce: "+problem))
		}
	}
	refuse(c.Path == "", "Path is required: the license file")
	refuse(c.Ring == nil, "Ring is required: the keys that licenses are signed with")
	refuse(c.RecheckInterval < 0, "RecheckInterval must not be negative")
	refuse(c.GracePeriod < 0, "GracePeriod must not be negative")
	sources := 0
	for _, source := range []string{c.Fingerprint, c.FingerprintFile, c.FingerprintEnv} {
		if source != "" {
			sources++
		}
	}
	refuse(sources > 1, "set one of Fingerprint, FingerprintFile and FingerprintEnv, not several")
	switch c.Revocation.Mode {
	case RevocationFile:
		refuse(c.Revocation.Path == "", `Revocation.Path is required with the mode "file"`)
	case "", RevocationOff:
		refuse(c.Revocation.Path != "" || c.Revocation.RequireCurrent || c.Revocation.FailClosed,
			`Revocation.Path, RequireCurrent and FailClosed need the mode "file"`)
	default:
		refuse(true, `Revocation.Mode must be "off" or "file"`)
	}
	refuse(c.State.Path == "" && c.State.MustExist, "State.MustExist needs State.Path")
	refuse(c.State.RequestBlock < 0 || c.State.TokenBlock < 0, "State.RequestBlock and TokenBlock must not be negative")
	return errors.Join(problems...)
}

// withDefaults fills in what was left out; the Config has been validated.
func (c Config) withDefaults() (Config, error) {
	if c.RecheckInterval == 0 {
		c.RecheckInterval = DefaultRecheckInterval
	}
	if c.State.RequestBlock == 0 {
		c.State.RequestBlock = DefaultRequestBlock
	}
	if c.State.TokenBlock == 0 {
		c.State.TokenBlock = DefaultTokenBlock
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	var err error
	c.Fingerprint, err = c.fingerprint()
	return c, err
}

// fingerprint reads the instance's fingerprint from where the Config says. One that is configured and not there is
// an error: a bound license would be refused with a reason that misleads.
func (c Config) fingerprint() (string, error) {
	switch {
	case c.FingerprintFile != "":
		text, err := regular.Read(c.FingerprintFile, maxFingerprintFile)
		if err != nil {
			return "", fmt.Errorf("enforce: the fingerprint file: %w", err)
		}
		if text = strings.TrimRight(text, "\r\n"); text == "" {
			return "", errors.New("enforce: the fingerprint file is empty")
		}
		return text, nil
	case c.FingerprintEnv != "":
		text := os.Getenv(c.FingerprintEnv)
		if text == "" {
			return "", errors.New("enforce: the environment variable " + c.FingerprintEnv + " is not set: it is to hold the fingerprint")
		}
		return text, nil
	}
	return c.Fingerprint, nil
}
