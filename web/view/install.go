package view

import (
	"fmt"
	"path"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// Platform is where a router runs.
type Platform string

// The platforms with install steps of their own.
const (
	Docker     Platform = "docker"
	Kubernetes Platform = "kubernetes"
	Binary     Platform = "binary"
)

// DefaultPort is where a router listens unless told otherwise.
const DefaultPort = 8080

// Name is how a platform is called on its tab.
func (p Platform) Name() string {
	switch p {
	case Kubernetes:
		return "Kubernetes"
	case Binary:
		return "Binary"
	}
	return "Docker Compose"
}

// Platforms in the order of their tabs.
func Platforms() []Platform { return []Platform{Docker, Kubernetes, Binary} }

// PlatformOf reads a platform from a query; Docker unless it names another.
func PlatformOf(s string) Platform {
	if p := Platform(s); p == Kubernetes || p == Binary {
		return p
	}
	return Docker
}

// DefaultPath is where a router of the platform keeps its license.
func DefaultPath(p Platform) string {
	if p == Docker {
		return "license/license.json"
	}
	return "/etc/router/license.json"
}

// Install is what the install steps are made from.
type Install struct {
	License    fulfillment.License
	Previous   *fulfillment.License
	Platform   Platform
	Path       string
	Port       int
	KeyRingURL string
	MayChange  bool
	Errors     Errors
	Now        time.Time
}

// Commands is one step: what it is for and what to type.
type Commands struct {
	ID, Title, Text, Code, After string
}

// Steps are the install steps of the platform, as they can be typed.
func (i Install) Steps() []Commands {
	return []Commands{i.check(), i.keep(), i.replace(), i.restart()}
}

func (i Install) check() Commands {
	return Commands{
		ID: "check", Title: "Check the file you downloaded",
		Text: "Compares the file with the checksum this portal holds, then verifies its signature with the portal's public keys. On macOS type `shasum -a 256` for `sha256sum`.",
		Code: fmt.Sprintf("cd ~/Downloads\necho \"%s  license.json\" \\\n  | sha256sum -c -\ncurl -fsS %s -o keyring.json\nlicensectl verify -keys keyring.json license.json",
			i.License.SHA256, i.KeyRingURL),
	}
}

// backup is the name of the copy that is the way back.
func (i Install) backup() string {
	name := "before-" + i.License.ID
	if i.Previous != nil {
		name = i.Previous.ID
	}
	return name + ".bak"
}

func (i Install) keep() Commands {
	c := Commands{ID: "keep", Title: "Keep the license you have", Text: "This is your way back. Skip it on a router that has none yet."}
	switch i.Platform {
	case Kubernetes:
		c.Code = fmt.Sprintf("kubectl get secret router-license -o jsonpath='{.data.license\\.json}' \\\n  | base64 -d > license.json.%s", i.backup())
	case Docker:
		c.Text += " Run it where `compose.yaml` is."
		c.Code = fmt.Sprintf("cp -p %s \\\n  %s.%s", i.Path, i.Path, i.backup())
	default:
		c.Code = fmt.Sprintf("sudo cp -p %s \\\n  %s.%s", i.Path, i.Path, i.backup())
	}
	return c
}

func (i Install) replace() Commands {
	c := Commands{ID: "replace", Title: "Replace it in one move", Text: "Copied next to the target, then renamed, so that the router never reads half a file."}
	staged := path.Join(path.Dir(i.Path), ".license.json.new")
	switch i.Platform {
	case Kubernetes:
		c.Text = "Writes the Secret that the router mounts, and replaces what it held."
		c.Code = "kubectl create secret generic router-license \\\n  --from-file=license.json=$HOME/Downloads/license.json \\\n  --dry-run=client -o yaml | kubectl apply -f -"
		c.After = "Mount the Secret as a volume, not with `subPath`: a `subPath` mount never updates. A volume follows within about a minute."
	case Docker:
		c.Code = fmt.Sprintf("install -m 0640 ~/Downloads/license.json %s\nmv -f %s %s\n\n# or both, verified first and with a backup:\nlicensectl install ~/Downloads/license.json -to %s", staged, staged, i.Path, i.Path)
		c.After = "Mount the directory, not the single file: a container keeps the old file when a mounted file is renamed over. The user inside the container must be allowed to read it."
	default:
		c.Code = fmt.Sprintf("sudo install -m 0640 -o router -g router ~/Downloads/license.json %s\nsudo mv -f %s %s\n\n# or both, verified first and with a backup:\nsudo licensectl install ~/Downloads/license.json -to %s", staged, staged, i.Path, i.Path)
		c.After = "The file must belong to the user that the service runs as; here it is `router`."
	}
	return c
}

func (i Install) restart() Commands {
	c := Commands{ID: "restart", Title: "Restart, or wait", Text: "A running router looks at the file again every `recheck_interval`. A restart makes it look now."}
	switch i.Platform {
	case Kubernetes:
		c.Code = "kubectl rollout restart deployment/router"
	case Docker:
		c.Code = "docker compose restart router"
	default:
		c.Code = "sudo systemctl restart router"
	}
	return c
}

// See is the last step's commands.
func (i Install) See() string {
	at := fmt.Sprintf("localhost:%d", i.Port)
	code := fmt.Sprintf("curl -fsS %s/readyz\ncurl -fsS -u \"$ADMIN_USER:$ADMIN_PASSWORD\" %s/admin/license/status\ncurl -fsS -H \"Authorization: Bearer $ROUTER_TOKEN\" %s/v1/models", at, at, at)
	if i.Platform == Kubernetes {
		code = fmt.Sprintf("kubectl port-forward deployment/router %d:%d &\n", i.Port, i.Port) + code
	}
	return code
}

// Back says whether the license that ran before can be put back.
func (i Install) Back() string {
	p := i.Previous
	switch {
	case p == nil:
		return "There is no earlier license of this deployment to go back to. Without a valid license the router answers `license-missing`."
	case p.Stopped(i.Now):
		return "You can't go back: `" + p.ID + "` was " + p.Withdrawn.Status + " on " + Stamp(p.Withdrawn.EffectiveAt) + "."
	case !i.Now.Before(p.Payload.ExpiresAt):
		return "You can't go back: `" + p.ID + "` expired on " + Stamp(p.Payload.ExpiresAt) + "."
	}
	return "You can go back to `" + p.ID + "` until " + Stamp(p.WorksUntil()) + ". Put the copy of step 2 in place the same way."
}

// Previous is the license that a router of this deployment most likely ran before this one: the base, else the next older.
// lineage is newest first.
func Previous(l fulfillment.License, lineage []fulfillment.License) *fulfillment.License {
	for n := range lineage {
		if l.BaseLicenseID != "" && lineage[n].ID == l.BaseLicenseID {
			return &lineage[n]
		}
	}
	for n := range lineage {
		if lineage[n].ID == l.ID && n+1 < len(lineage) {
			return &lineage[n+1]
		}
	}
	return nil
}
