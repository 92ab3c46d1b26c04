package mail

import (
	"strings"
	"testing"
)

func TestParseSMTPURL(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		url  string
		want Server
		err  string
	}{
		"catcher on this host":      {"smtp://127.0.0.1:1025", Server{Host: "127.0.0.1", Port: 1025, Security: Plain}, ""},
		"catcher by name":           {"smtp://localhost", Server{Host: "localhost", Port: 25, Security: Plain}, ""},
		"catcher on IPv6":           {"smtp://[::1]:1025", Server{Host: "::1", Port: 1025, Security: Plain}, ""},
		"elsewhere needs STARTTLS":  {"smtp://mx.example", Server{Host: "mx.example", Port: 587, Security: StartTLS}, ""},
		"TLS":                       {"smtps://u:p%40ss@mx.example", Server{Host: "mx.example", Port: 465, Security: TLS, Username: "u", Password: "p@ss"}, ""},
		"credentials over STARTTLS": {"smtp://u:p@mx.example:2525", Server{Host: "mx.example", Port: 2525, Security: StartTLS, Username: "u", Password: "p"}, ""},
		"credentials in the clear":  {"smtp://u:hunter2@localhost", Server{}, "need TLS"},
		"user without password":     {"smtps://u@mx.example", Server{}, "belong together"},
		"other scheme":              {"http://mx.example", Server{}, "begin with"},
		"no host":                   {"smtp://", Server{}, "is not like"},
		"path":                      {"smtp://mx.example/x", Server{}, "is not like"},
		"query":                     {"smtp://mx.example?tls=off", Server{}, "is not like"},
		"port too high":             {"smtp://mx.example:70000", Server{}, "port"},
		"not a URL":                 {"smtp://u:hunter2@mx:port", Server{}, "is not like"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseSMTPURL(tt.url)
			if tt.err == "" && (err != nil || got != tt.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
			if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want one with %q", err, tt.err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
}
