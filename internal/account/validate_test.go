package account

import (
	"strings"
	"testing"
)

func TestNormalEmail(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Erin@Lumen.Example":             "erin@lumen.example",
		"  erin@lumen.example  ":         "erin@lumen.example",
		"erin+x.y_z@sub.lumen.example":   "erin+x.y_z@sub.lumen.example",
		"erin@bücher.example":            "erin@bücher.example",
		"o'neil@lumen.example":           "o'neil@lumen.example",
		strings.Repeat("a", 64) + "@b.c": strings.Repeat("a", 64) + "@b.c",
	} {
		if got, err := normalEmail(in); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "erin", "erin@", "@lumen.example", "erin@lumen", "erin@@lumen.example", "a@b@lumen.example",
		"Erin <erin@lumen.example>", "<erin@lumen.example>", "erin@lumen.example (Erin)", `"erin x"@lumen.example`,
		"erin@[192.0.2.1]", "erin@lumen.example, omar@lumen.example", "erin@lumen..example", "erin@lumen.example.", ".erin@lumen.example",
		"erin@lumen.example\r\nBcc: x@y.example", "erin@lumen.example\n", "erin\x00@lumen.example", "erin\u2028@lumen.example", "erin\ufffd@lumen.example", "er in@lumen.example",
		"er\u200bin@lumen.example", "erin@lumen.example\xff",
		strings.Repeat("a", 65) + "@b.c", "a@" + strings.Repeat("b.", 126) + "c",
	} {
		if got, err := normalEmail(in); err != ErrEmailInvalid {
			t.Errorf("%q: %q, %v; want ErrEmailInvalid", in, got, err)
		}
	}
}

func TestLocalPath(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"/", "/orders/ord_1?x=1#y", "/licenses/ü", "/" + strings.Repeat("a", 999)} {
		if got := localPath(in); got != in {
			t.Errorf("%q: %q", in, got)
		}
	}
	for _, in := range []string{
		"", "orders", "//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`, "https://evil.example", "javascript:alert(1)",
		"/a\r\nSet-Cookie: x=y", "/\t/evil.example", " /orders", "/a\x00", "/\xff", "/" + strings.Repeat("a", 1000),
	} {
		if got := localPath(in); got != "/" {
			t.Errorf("%q: %q, want /", in, got)
		}
	}
}

func TestNormalName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		" Halden Robotics ": "Halden Robotics", "Søn & Co. <KG>": "Søn & Co. <KG>", "株式会社": "株式会社",
		strings.Repeat("a", 100): strings.Repeat("a", 100), strings.Repeat("ü", 100): strings.Repeat("ü", 100),
	} {
		if got, err := normalName(in); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{
		"", "   ", "a\nb", "a\x00", "a\u202eb", "a\u200bb", "a\ufffdb", "a\xff", "a\u00a0b",
		strings.Repeat("a", 101), strings.Repeat("株", 67),
	} {
		if got, err := normalName(in); err != ErrNameInvalid {
			t.Errorf("%q: %q, %v; want ErrNameInvalid", in, got, err)
		}
	}
}

func TestNetworksAreCountedAsOneCustomerHoldsThem(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"fe80::1%eth0": "fe80::/64", "@": "@",
	} {
		if got := network(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
