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
