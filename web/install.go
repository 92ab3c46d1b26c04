package web

import (
	"net/http"
	"regexp"
	"strconv"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/web/view"
)

// plainPath is a path that needs no quoting in a shell.
var plainPath = regexp.MustCompile(`^[A-Za-z0-9_./~-]{1,200}$`)

// install fills the install steps: where the customer's router keeps its license and listens comes from the query, so that
// the commands come out right without JavaScript.
func (s *server) install(r *http.Request, l fulfillment.License, lineage []fulfillment.License) view.Install {
	q := r.URL.Query()
	i := view.Install{
		License: l, Previous: view.Previous(l, lineage), Platform: view.PlatformOf(q.Get("platform")),
		KeyRingURL: s.absolute("/keys/keyring.json"), Port: view.DefaultPort, MayChange: member(r).mayChange(), Now: s.now(),
	}
	i.Path = view.DefaultPath(i.Platform)
	if path := q.Get("path"); path != "" {
		if plainPath.MatchString(path) && path[0] != '-' {
			i.Path = path
		} else {
			i.Errors = append(i.Errors, view.FieldError{Field: "path", Message: "Use a path of letters, digits and . _ - / ~"})
		}
	}
	if port := q.Get("port"); port != "" {
		if n, err := strconv.Atoi(port); err == nil && n > 0 && n < 65536 {
			i.Port = n
		} else {
			i.Errors = append(i.Errors, view.FieldError{Field: "port", Message: "Use a port from 1 to 65535"})
		}
	}
	return i
}
