package main

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTheEnvironmentChoosesWhereTheDemoLives(t *testing.T) {
	t.Parallel()
	env := map[string]string{"DEMO_DIR": "/somewhere", "DEMO_PORT": "9000", "DATABASE_URL": "postgres://x", "SIGN_INS_PER_IP": "7", "HOME": "/root"}
	o, err := parseOptions(nil, func(name string) string { return env[name] }, &buffer{})
	if err != nil {
		t.Fatal(err)
	}
	if o.dir != "/somewhere" || o.portalURL() != "http://localhost:9000" || o.mailURL() != "http://localhost:9003" || o.databaseURL != "postgres://x" {
		t.Errorf("options %+v", o)
	}
	if !slices.Equal(o.pass, []string{"SIGN_INS_PER_IP=7"}) {
		t.Errorf("handed on: %v", o.pass)
	}
	o, err = parseOptions(nil, func(string) string { return "" }, &buffer{})
	if err != nil || filepath.Base(o.dir) != ".demo" || !filepath.IsAbs(o.dir) || o.port != 8080 || !filepath.IsAbs(o.programs) {
		t.Errorf("by default %+v, %v", o, err)
	}
}

func TestWrongUseIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		port string
		want string
	}{
		"port is no number": {nil, "http", "DEMO_PORT must be a number"},
		"port zero":         {nil, "0", "DEMO_PORT must be a number"},
		"no room for three": {nil, "65533", "DEMO_PORT must be a number"},
		"an argument":       {[]string{"start"}, "", `"start" is not expected`},
		"an unknown flag":   {[]string{"-port", "1"}, "", "not defined"},
	} {
		_, err := parseOptions(c.args, func(name string) string {
			if name == "DEMO_PORT" {
				return c.port
			}
			return ""
		}, &buffer{})
		if !errors.Is(err, errUsage) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestRemovingWhatIsNoDemoTouchesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := &buffer{}
	if err := remove(options{dir: dir}, out); err != nil || !strings.Contains(out.String(), "there is no demo") {
		t.Errorf("remove = %v, %q", err, out.String())
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 0 {
		t.Errorf("it made %v, %v", left, err)
	}
}
