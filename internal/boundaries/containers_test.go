package boundaries

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The container files are checked here because no container engine runs where
// the tests do.

// service is what the tests ask of a service in docker-compose.yml.
type service struct {
	Build struct {
		Context, Target string
	} `yaml:"build"`
	Image       string                                `yaml:"image"`
	User        string                                `yaml:"user"`
	NetworkMode string                                `yaml:"network_mode"`
	Networks    []string                              `yaml:"networks"`
	Ports       []string                              `yaml:"ports"`
	ReadOnly    bool                                  `yaml:"read_only"`
	CapDrop     []string                              `yaml:"cap_drop"`
	SecurityOpt []string                              `yaml:"security_opt"`
	Ulimits     map[string]int                        `yaml:"ulimits"`
	PIDsLimit   int                                   `yaml:"pids_limit"`
	IPC         string                                `yaml:"ipc"`
	Memory      string                                `yaml:"mem_limit"`
	MemorySwap  string                                `yaml:"memswap_limit"`
	Command     []string                              `yaml:"command"`
	Volumes     []string                              `yaml:"volumes"`
	Secrets     []string                              `yaml:"secrets"`
	Environment map[string]string                     `yaml:"environment"`
	Healthcheck struct{ Test []string }               `yaml:"healthcheck"`
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
}

type compose struct {
	Services map[string]service        `yaml:"services"`
	Volumes  map[string]any            `yaml:"volumes"`
	Networks map[string]any            `yaml:"networks"`
	Secrets  map[string]map[string]any `yaml:"secrets"`
}

func readCompose(t *testing.T) compose {
	t.Helper()
	text, err := os.ReadFile("../../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var c compose
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestComposeReferencesExist(t *testing.T) {
	t.Parallel()
	c := readCompose(t)
	_, targets := readDockerfile(t)
	for _, name := range []string{"postgres", "migrate", "signer", "portal", "worker"} {
		s, ok := c.Services[name]
		if !ok {
			t.Errorf("no service %s", name)
			continue
		}
		if s.Build.Target != "" && !slices.Contains(targets, s.Build.Target) {
			t.Errorf("%s: the Dockerfile has no stage %s", name, s.Build.Target)
		}
		for _, v := range s.Volumes {
			source, _, _ := strings.Cut(v, ":")
			if _, ok := c.Volumes[source]; !ok && !strings.HasPrefix(source, "./") {
				t.Errorf("%s: no volume %s", name, source)
			}
		}
		for _, n := range s.Networks {
			if _, ok := c.Networks[n]; !ok {
				t.Errorf("%s: no network %s", name, n)
			}
		}
		for _, secret := range s.Secrets {
			if _, ok := c.Secrets[secret]; !ok {
				t.Errorf("%s: no secret %s", name, secret)
			}
		}
		for other := range s.DependsOn {
			if _, ok := c.Services[other]; !ok {
				t.Errorf("%s waits for %s, which does not exist", name, other)
			}
		}
	}
}

func TestComposeIsolatesTheSigner(t *testing.T) {
	t.Parallel()
	c := readCompose(t)
	signer := c.Services["signer"]
	if signer.NetworkMode != "none" || len(signer.Networks) > 0 || len(signer.Ports) > 0 {
		t.Error("the signer has a network")
	}
	if signer.IPC != "private" || signer.Memory == "" || signer.Memory != signer.MemorySwap {
		t.Error("the signer's memory is shared or swapped")
	}
	for name, s := range c.Services {
		if name == "postgres" {
			continue
		}
		if core, ok := s.Ulimits["core"]; !ok || core != 0 || s.PIDsLimit < 1 || s.PIDsLimit > 256 {
			t.Errorf("%s may dump core or start any number of threads", name)
		}
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may write its own files, has capabilities or may gain privileges", name)
		}
		if want := map[bool]string{true: "10002:10002", false: "10001:10001"}[name == "signer"]; s.User != want {
			t.Errorf("%s runs as %q, want %s", name, s.User, want)
		}
		if name == "signer" {
			continue
		}
		for _, v := range s.Volumes {
			if !strings.HasPrefix(v, "signer-socket:") {
				t.Errorf("%s sees %s: of the signer's it may see the socket alone", name, v)
			}
		}
	}
	shared := func(s service) bool { return slices.Contains(s.Volumes, "signer-socket:/run/signer") }
	if !shared(signer) || !shared(c.Services["portal"]) || !shared(c.Services["worker"]) {
		t.Error("signer, portal and worker do not share the socket's volume")
	}
	if len(signer.Environment) > 0 {
		t.Error("the signer takes its configuration from a file, secrets never from the environment")
	}
}

func TestComposeStartsThingsInOrder(t *testing.T) {
	t.Parallel()
	c := readCompose(t)
	if len(c.Services["postgres"].Healthcheck.Test) == 0 {
		t.Error("postgres has no health check")
	}
	if got := c.Services["migrate"].DependsOn["postgres"].Condition; got != "service_healthy" {
		t.Errorf("migrate waits for postgres to be %q", got)
	}
	for name, command := range map[string]string{"portal": "serve", "worker": "worker"} {
		s := c.Services[name]
		if got := s.DependsOn["migrate"].Condition; got != "service_completed_successfully" {
			t.Errorf("%s waits for migrate to be %q", name, got)
		}
		if !slices.Equal(s.Command, []string{command}) {
			t.Errorf("%s runs %v", name, s.Command)
		}
		for _, variable := range []string{"DATABASE_URL", "PORTAL_PUBLIC_URL", "PORTAL_CONTACT", "PORTAL_LISTEN",
			"PORTAL_SECRET_FILE", "SIGNER_SOCKET", "STRIPE_API_KEY_FILE", "SMTP_URL", "MAIL_FROM"} {
			if s.Environment[variable] == "" {
				t.Errorf("%s: %s is not set", name, variable)
			}
		}
	}
}

// TestComposeAcceptsTheFile asks the tool itself where its plugin is installed;
// the tests above hold everywhere.
func TestComposeAcceptsTheFile(t *testing.T) {
	t.Parallel()
	if exec.Command("docker", "compose", "version").Run() != nil {
		t.Log("docker compose is not installed: the file's structure is checked by the other tests alone")
		return
	}
	cmd := exec.Command("docker", "compose", "-f", "docker-compose.yml", "config", "-q")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "POSTGRES_PASSWORD=x", "PORTAL_PUBLIC_URL=https://portal.example",
		"PORTAL_CONTACT=help@portal.example", "SMTP_URL=smtp://mail.example", "MAIL_FROM=portal@portal.example")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("docker compose config: %v\n%s", err, out)
	}
}

// instruction is a line of the Dockerfile, continued lines joined.
type instruction struct {
	name string
	args []string
}

// readDockerfile returns the instructions and the names of the stages.
func readDockerfile(t *testing.T) (all []instruction, stages []string) {
	t.Helper()
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.ReplaceAll(string(text), "\\\n", " "), "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		all = append(all, instruction{name: fields[0], args: fields[1:]})
		if fields[0] == "FROM" && len(fields) == 4 && fields[2] == "AS" {
			stages = append(stages, fields[3])
		}
	}
	return all, stages
}

func TestDockerfileReferencesExist(t *testing.T) {
	t.Parallel()
	known := []string{"FROM", "WORKDIR", "ENV", "COPY", "RUN", "USER", "EXPOSE", "ENTRYPOINT", "CMD"}
	all, stages := readDockerfile(t)
	for _, in := range all {
		if !slices.Contains(known, in.name) {
			t.Errorf("unknown instruction %s", in.name)
		}
		switch in.name {
		case "FROM":
			if len(in.args) != 3 {
				t.Errorf("FROM %v has no stage name", in.args)
			} else if !strings.ContainsAny(in.args[0], ":/") && !slices.Contains(stages, in.args[0]) {
				t.Errorf("no stage %s", in.args[0])
			}
		case "COPY":
			if from, ok := strings.CutPrefix(in.args[0], "--from="); ok {
				if !slices.Contains(stages, from) {
					t.Errorf("COPY from %s: no such stage", from)
				}
				continue
			}
			for _, source := range in.args[:len(in.args)-1] {
				if _, err := os.Stat(filepath.Join("../..", source)); errors.Is(err, os.ErrNotExist) {
					t.Errorf("COPY %s: no such file", source)
				}
			}
		case "RUN":
			for _, arg := range in.args {
				if strings.HasPrefix(arg, "./cmd/") {
					if _, err := os.Stat(filepath.Join("../..", arg)); err != nil {
						t.Errorf("RUN builds %s: %v", arg, err)
					}
				}
			}
		}
	}
	for _, want := range []string{"portal", "signer", "migrate"} {
		if !slices.Contains(stages, want) {
			t.Errorf("no stage %s", want)
		}
	}
}

func TestDockerfileRunsNothingAsRoot(t *testing.T) {
	t.Parallel()
	all, _ := readDockerfile(t)
	users := make(map[string]string) // by stage
	stage := ""
	for _, in := range all {
		switch {
		case in.name == "FROM" && len(in.args) == 3:
			stage = in.args[2]
			users[stage] = users[in.args[0]]
		case in.name == "USER":
			users[stage] = strings.Join(in.args, " ")
		}
	}
	for stage, want := range map[string]string{"portal": "10001:10001", "migrate": "10001:10001", "signer": "10002:10002"} {
		if users[stage] != want {
			t.Errorf("%s runs as %q, want %s", stage, users[stage], want)
		}
	}
}
