package config

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ClientIP answers how to tell where a request comes from behind the trusted proxies, or nil where there are none and the
// connection tells. It reads X-Forwarded-For from its end, over the hops that are trusted, to the first that is not:
// whatever stands before that one, the client may have written itself.
func (c Config) ClientIP() func(*http.Request) string {
	if len(c.TrustedProxies) == 0 {
		return nil
	}
	return func(r *http.Request) string {
		connection, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil {
			return r.RemoteAddr
		}
		client := connection.Addr().Unmap()
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for _, hop := range slices.Backward(hops) {
			if !c.trusts(client) {
				break
			}
			next, err := netip.ParseAddr(strings.TrimSpace(hop))
			if err != nil {
				break
			}
			client = next.Unmap()
		}
		return client.String()
	}
}

func (c Config) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(c.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}
