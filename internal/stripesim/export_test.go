package stripesim

import "regexp"

// Calls lists the API's calls without the names of their wildcards, for the
// contract's tests.
func Calls() []string {
	wildcard := regexp.MustCompile(`\{[a-z]+\}`)
	var out []string
	for _, r := range (&Server{}).routes() {
		out = append(out, r.method+" "+wildcard.ReplaceAllString(r.path, "{}"))
	}
	return append(out, "GET /v1/quotes/{}/pdf")
}

// RoundedShare, AddMonths and PeriodEnd are what money and time are reckoned
// with.
var (
	RoundedShare = roundedShare
	AddMonths    = addMonths
)

// PeriodEnd is periodEnd for so many intervals.
func PeriodEnd(anchor, start int64, interval string, count int64) int64 {
	return periodEnd(anchor, start, object{"interval": interval, "interval_count": count})
}
