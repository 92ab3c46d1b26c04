package enforce

import (
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// book is what is kept about one license, by its ID. The counts are of what was taken from the budgets: used, or on
// hand for the requests to come.
type book struct {
	Requests       int64                    `json:"requests"`
	Tokens         int64                    `json:"tokens"`
	TokensOver     int64                    `json:"tokens_over,omitempty"` // used past a limit, by requests that used more than they reserved
	Month          int64                    `json:"month,omitempty"`       // its first second
	MonthRequests  int64                    `json:"month_requests,omitempty"`
	Window         int64                    `json:"window,omitempty"` // its first second
	WindowRequests int64                    `json:"window_requests,omitempty"`
	WindowTokens   int64                    `json:"window_tokens,omitempty"`
	RequestBlock   int64                    `json:"request_block,omitempty"` // what a lost write may cost
	TokenBlock     int64                    `json:"token_block,omitempty"`
	ExpiresAt      int64                    `json:"expires_at"`
	Revocation     *license.RevocationEntry `json:"revocation,omitempty"` // what the last bundle said
}

// charge takes from every budget at once; negative amounts give back.
func (b *book) charge(v volume) {
	b.Requests += v.requests
	b.MonthRequests += v.requests
	b.Tokens += v.tokens
	if b.Window != 0 {
		b.WindowRequests += v.requests
		b.WindowTokens += v.tokens
	}
}

// chargeLostWrite makes good that the last write may be lost: counters never go back.
func (b *book) chargeLostWrite() { b.charge(volume{b.RequestBlock, b.TokenBlock}) }

// makesGood reports whether this book, charged a lost write, would stand for the next one: it counts as much of what is
// limited and knows the same revocation. It does not where next is the first of a license, a month or a window, or
// took more than a block at once.
func (b book) makesGood(next *book) bool {
	b.chargeLostWrite()
	if b.Month != next.Month {
		b.MonthRequests = 0
	}
	if b.Window != next.Window {
		b.WindowRequests, b.WindowTokens = 0, 0
	}
	requests := b.Requests >= next.Requests && b.MonthRequests >= next.MonthRequests && b.WindowRequests >= next.WindowRequests
	tokens := b.Tokens >= next.Tokens && b.WindowTokens >= next.WindowTokens
	// An entry that says the same is the same one: see said.
	return (requests || next.RequestBlock == 0) && (tokens || next.TokenBlock == 0) && b.Revocation == next.Revocation
}

// enter begins the month and the window that now is in. Neither ever goes back, so a clock that is set back within
// its tolerance brings no budget of an earlier one.
func (b *book) enter(now, notBefore int64, limits *license.Limits) {
	if month := monthOf(now); month > b.Month {
		b.Month, b.MonthRequests = month, 0
	}
	if window := windowOf(now, notBefore, limits); window > b.Window {
		b.Window, b.WindowRequests, b.WindowTokens = window, 0, 0
	}
}

// until is the first second after the month or window, whichever ends first.
func (b *book) until(limits *license.Limits) int64 {
	until := time.Unix(b.Month, 0).UTC().AddDate(0, 1, 0).Unix()
	if limits.WindowDurationSeconds > 0 {
		until = min(until, b.Window+limits.WindowDurationSeconds)
	}
	return until
}

func monthOf(now int64) int64 {
	year, month, _ := time.Unix(now, 0).UTC().Date()
	return time.Date(year, month, 1, 0, 0, 0, 0, time.UTC).Unix()
}

// windowOf returns the first second of the window that now is in. Windows follow one another from not_before on.
func windowOf(now, notBefore int64, limits *license.Limits) int64 {
	if limits.WindowDurationSeconds == 0 {
		return 0
	}
	return now - max(now-notBefore, 0)%limits.WindowDurationSeconds
}

// room is how much the budgets still hold, and which code says so when it is not enough.
type room struct {
	amount int64
	code   license.Code
	name   string
}

func (r *room) bound(limit, taken int64, code license.Code, name string) {
	if limit > 0 && max(limit-taken, 0) < r.amount {
		r.amount, r.code, r.name = max(limit-taken, 0), code, name
	}
}

func (b *book) requestRoom(l *license.Limits) room {
	r := room{amount: unlimited}
	r.bound(l.WindowRequests, b.WindowRequests, license.CodeWindowExceeded, "window_requests")
	r.bound(l.MaxMonthlyRequests, b.MonthRequests, license.CodeVolumeExceeded, "max_monthly_requests")
	r.bound(l.MaxTotalRequests, b.Requests, license.CodeVolumeExceeded, "max_total_requests")
	return r
}

func (b *book) tokenRoom(l *license.Limits) room {
	r := room{amount: unlimited}
	r.bound(l.WindowTokens, b.WindowTokens, license.CodeWindowExceeded, "window_tokens")
	r.bound(l.MaxTotalTokens, b.Tokens, license.CodeVolumeExceeded, "max_total_tokens")
	return r
}

func limitsRequests(l *license.Limits) bool {
	return l.MaxTotalRequests > 0 || l.MaxMonthlyRequests > 0 || l.WindowRequests > 0
}

func limitsTokens(l *license.Limits) bool { return l.MaxTotalTokens > 0 || l.WindowTokens > 0 }

// smallest returns the smallest of the limits that are set, or unlimited.
func smallest(limits ...int64) int64 {
	least := int64(unlimited)
	for _, limit := range limits {
		if limit > 0 {
			least = min(least, limit)
		}
	}
	return least
}

// block is how much is taken from a limited budget at once: what was configured, but a twentieth of the smallest
// limit at most, so that a crash never costs more than that.
func block(configured, limit int64) int64 { return max(min(configured, limit/20), 1) }
