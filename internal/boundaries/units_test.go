package boundaries

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The units of systemd are read here as text, since no service manager runs where the tests do, and by systemd-analyze
// where there is one.

const unitDir = "../../deploy/systemd"

// unit is a unit file's settings, in order: one may be given more than once.
type unit map[string][]string

func readUnit(t *testing.T, name string) unit {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(unitDir, name))
	if err != nil {
		t.Fatal(err)
	}
	u := unit{}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
			u[key] = append(u[key], value)
		}
	}
	return u
}

// limits are what every unit says.
var limits = map[string]string{
	"Type": "exec", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateMounts": "yes", "PrivateDevices": "yes",
	"DevicePolicy": "closed", "NoExecPaths": "/", "LimitCORE": "0", "MemoryDenyWriteExecute": "yes", "NoNewPrivileges": "yes",
	"CapabilityBoundingSet": "", "AmbientCapabilities": "", "KeyringMode": "private", "LockPersonality": "yes", "PrivateIPC": "yes",
	"ProcSubset": "pid", "ProtectClock": "yes", "ProtectControlGroups": "yes", "ProtectHostname": "yes", "ProtectKernelLogs": "yes",
	"ProtectKernelModules": "yes", "ProtectKernelTunables": "yes", "ProtectProc": "invisible", "RemoveIPC": "yes", "RestrictNamespaces": "yes",
	"RestrictRealtime": "yes", "RestrictSUIDSGID": "yes", "SystemCallArchitectures": "native", "UMask": "0077",
}

func TestUnitsLimitWhatTheyRun(t *testing.T) {
	t.Parallel()
	const outside = "AF_INET AF_INET6 AF_UNIX"
	for name, more := range map[string]map[string]string{
		"signer": {"User": "signer", "ExecPaths": "/usr/local/bin/signer", "PrivateNetwork": "yes", "IPAddressDeny": "any",
			"RestrictAddressFamilies": "AF_UNIX", "MemorySwapMax": "0", "ExecReload": "+/bin/kill -HUP $MAINPID"},
		"portal":  {"User": "portal", "ExecPaths": "/usr/local/bin/portal", "RestrictAddressFamilies": outside, "ExecStart": "/usr/local/bin/portal serve"},
		"worker":  {"User": "portal", "ExecPaths": "/usr/local/bin/portal", "RestrictAddressFamilies": outside, "ExecStart": "/usr/local/bin/portal worker"},
		"witness": {"User": "witness", "ExecPaths": "/usr/local/bin/witness", "RestrictAddressFamilies": outside},
	} {
		u := readUnit(t, name+".service")
		for _, wanted := range []map[string]string{limits, more} {
			for key, value := range wanted {
				if !slices.Equal(u[key], []string{value}) {
					t.Errorf("%s: %s is %q, want %q", name, key, u[key], value)
				}
			}
		}
		if u["SystemCallFilter"] == nil || !strings.HasPrefix(u["SystemCallFilter"][0], "@system-service") {
			t.Errorf("%s: system calls are not filtered by what services need", name)
		}
		for _, variable := range slices.Concat(u["Environment"], u["SetCredential"]) {
			if strings.Contains(variable, "PASS") || strings.Contains(variable, "whsec_") || strings.Contains(variable, "rk_") {
				t.Errorf("%s: a secret in the unit", name)
			}
		}
	}
	signer := readUnit(t, "signer.service")
	if len(signer["PrivateUsers"]) > 0 {
		t.Error("in a user namespace the signer would not see which user asks")
	}
	if !slices.ContainsFunc(signer["LoadCredentialEncrypted"], func(c string) bool { return strings.HasPrefix(c, "passphrase:") }) {
		t.Error("the passphrase is no encrypted credential")
	}
}

// exposure is how open systemd-analyze may find each unit, in tenths of its points: 0 is closed and 100 open.
var exposure = map[string]string{"signer": "6", "portal": "12", "worker": "12", "witness": "12"}

func TestSystemdAcceptsTheUnits(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("no systemd-analyze here: the units were read as text alone")
		return
	}
	dir := t.TempDir()
	for name := range exposure {
		text, err := os.ReadFile(filepath.Join(unitDir, name+".service"))
		if err != nil {
			t.Fatal(err)
		}
		// The programs are not installed here; verify wants them to be there.
		installed := strings.NewReplacer("ExecStart=/usr/local/bin/signer", "ExecStart=/bin/true", "ExecStart=/usr/local/bin/portal", "ExecStart=/bin/true",
			"ExecStart=/usr/local/bin/witness", "ExecStart=/bin/true").Replace(string(text))
		path := filepath.Join(dir, name+".service")
		if err := os.WriteFile(path, []byte(installed), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s", name, err, out)
		}
		out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", "--threshold="+exposure[name], path).CombinedOutput()
		if err != nil {
			t.Errorf("%s is more open than before: %v: %s", name, err, out)
		}
	}
	broken := filepath.Join(dir, "broken.service")
	if err := os.WriteFile(broken, []byte("[Service]\nExecStart=/bin/true\nPrivateNetwrk=yes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _ := exec.Command(analyze, "verify", "--man=no", broken).CombinedOutput(); len(out) == 0 {
		t.Error("a misspelled setting is not found, so verify shows nothing")
	}
}
