package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// person is somebody at a browser of their own: one isolated browser context.
type person struct {
	t     *testing.T
	d     *demo
	ctx   context.Context
	email string
	files string // where downloads arrive
}

// closeBrowser ends Chromium, once all tests have, and removes its profile.
var closeBrowser = func() {}

var startBrowser = sync.OnceValues(func() (context.Context, error) {
	profile, err := os.MkdirTemp("", "e2e-profile-")
	if err != nil {
		return nil, err
	}
	opts := []chromedp.ExecAllocatorOption{
		chromedp.NoSandbox, chromedp.Headless, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.UserDataDir(profile),
		chromedp.WSURLReadTimeout(2 * time.Minute),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true),
	}
	if path := os.Getenv("CHROME"); path != "" {
		opts = append(opts, chromedp.ExecPath(path))
	}
	alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, _ := chromedp.NewContext(alloc)
	closeBrowser = func() {
		chromedp.Cancel(ctx) // waits for Chromium's end
		stop()
		os.RemoveAll(profile)
	}
	return ctx, chromedp.Do(ctx, chromedp.Navigate("about:blank"))
})

// newPerson opens a fresh browser window for one person.
func newPerson(t *testing.T, d *demo, email string) *person {
	t.Helper()
	parent, err := startBrowser()
	if err != nil {
		t.Fatalf("Chromium: %v", err)
	}
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	t.Cleanup(func() { d.tellTroubles(t) })
	p := &person{t: t, d: d, ctx: ctx, email: email, files: t.TempDir()}
	// The first call makes the window, which lives as long as the context it was made with.
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank"), chromedp.EmulateViewport(1280, 900)); err != nil {
		t.Fatalf("open a window: %v", err)
	}
	id := chromedp.FromContext(ctx).BrowserContextID
	_, err = chromedp.CallBrowser(ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, BrowserContextID: id, DownloadPath: p.files,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// withoutJavaScript turns scripts off in the person's window.
func (p *person) withoutJavaScript() {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *person) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%s: %v\non %s:\n%s", what, err, p.location(), p.text())
	}
}

func eval[T any](p *person, js string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](js))
	if err != nil {
		p.t.Fatalf("%s: %v", js, err)
	}
	return v
}

func (p *person) location() string {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	s, _ := chromedp.Run(ctx, chromedp.Location())
	return s
}

// text is what the page shows.
func (p *person) text() string {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	s, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
	return s
}

// open goes to an address; a path is one of the portal's.
func (p *person) open(url string) {
	p.t.Helper()
	if strings.HasPrefix(url, "/") {
		url = p.d.info.PortalURL + url
	}
	p.do("open "+url, chromedp.Navigate(url))
}

func clickable(label string) string {
	return fmt.Sprintf(`//*[self::a or self::button][normalize-space(.)=%q and not(ancestor-or-self::*[@hidden])]`, label)
}

// click clicks the link or button with exactly this text.
func (p *person) click(label string) {
	p.t.Helper()
	p.do("click "+label, chromedp.Click(clickable(label)))
}

// follow clicks and waits for the page that it leads to.
func (p *person) follow(label string) {
	p.t.Helper()
	p.leave("follow "+label, chromedp.Click(clickable(label)))
}

// press clicks an element by CSS selector and waits for the page that it leads to.
func (p *person) press(css string) {
	p.t.Helper()
	p.leave("press "+css, chromedp.Click(chromedp.CSS(css)))
}

// leave does a step that leads to another page, and waits until that page has loaded.
func (p *person) leave(what string, step chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	eval[int](p, `window.left = 1`)
	p.do(what, step)
	deadline := time.Now().Add(time.Minute)
	for {
		ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
		there, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`window.left !== 1 && document.readyState === "complete"`))
		cancel()
		if err == nil && there {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: no other page came\non %s:\n%s", what, p.location(), p.text())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// fill types into the field with this name.
func (p *person) fill(name, value string) {
	p.t.Helper()
	css := fmt.Sprintf(`[name=%q]`, name)
	p.do("fill "+name, chromedp.Clear(chromedp.CSS(css)), chromedp.SendKeys(chromedp.CSS(css), value))
}

// choose picks the radio button or check box of this name and value.
func (p *person) choose(name, value string) {
	p.t.Helper()
	p.do("choose "+value, chromedp.Click(chromedp.CSS(fmt.Sprintf(`input[name=%q][value=%q]`, name, value))))
}

func (p *person) has(css string) bool {
	p.t.Helper()
	return eval[bool](p, fmt.Sprintf(`document.querySelector(%q) !== null`, css))
}

// sees waits until the page shows the words.
func (p *person) sees(words string) {
	p.t.Helper()
	p.seesWithin(time.Minute, words)
}

func (p *person) seesWithin(d time.Duration, words string) {
	p.t.Helper()
	deadline := time.Now().Add(d)
	for !strings.Contains(p.text(), words) {
		if time.Now().After(deadline) {
			p.t.Fatalf("never saw %q\non %s:\n%s", words, p.location(), p.text())
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// comesBackUntil opens a page that does not watch by itself again and again until it shows the words.
func (p *person) comesBackUntil(path, words string) {
	p.t.Helper()
	eventually(p.t, waitLong, words+" on "+path, func() bool {
		p.open(path)
		return strings.Contains(p.text(), words)
	})
}

func (p *person) doesNotSee(words string) {
	p.t.Helper()
	if strings.Contains(p.text(), words) {
		p.t.Fatalf("saw %q\non %s:\n%s", words, p.location(), p.text())
	}
}

// mark leaves a mark in the page that a reload would wipe; unmarked reports whether it is gone.
func (p *person) mark()          { p.t.Helper(); eval[int](p, `window.mark = 1`) }
func (p *person) unmarked() bool { p.t.Helper(); return eval[bool](p, `window.mark !== 1`) }

// download clicks and waits for the file that arrives. It is moved to a folder of its own, since Chromium writes the next
// one over it.
func (p *person) download(label string) string {
	p.t.Helper()
	p.click(label)
	var name string
	eventually(p.t, waitLong, "download by "+label, func() bool {
		entries, err := os.ReadDir(p.files)
		if err != nil || len(entries) != 1 || strings.HasSuffix(entries[0].Name(), ".crdownload") {
			return false
		}
		name = entries[0].Name()
		return true
	})
	path := filepath.Join(p.t.TempDir(), name)
	if err := os.Rename(filepath.Join(p.files, name), path); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// mail is what the mail catcher holds.
type mail struct {
	To      string    `json:"to"`
	Subject string    `json:"subject"`
	Text    string    `json:"text"`
	Date    time.Time `json:"date"`
}

// mails lists what was sent to the person, oldest first.
func (p *person) mails() []mail {
	p.t.Helper()
	var all, mine []mail
	getJSON(p.t, p.d.info.MailURL+"/api/mails", &all, nil)
	for _, m := range all {
		if strings.Contains(m.To, p.email) {
			mine = append(mine, m)
		}
	}
	slices.SortStableFunc(mine, func(a, b mail) int { return a.Date.Compare(b.Date) })
	return mine
}

// mailWith waits for the newest mail whose subject or text has the words, and answers its text.
func (p *person) mailWith(words string) string {
	p.t.Helper()
	var text string
	eventually(p.t, waitLong, "mail with "+words, func() bool {
		for _, m := range p.mails() {
			if strings.Contains(m.Subject, words) || strings.Contains(m.Text, words) {
				text = m.Text
			}
		}
		return text != ""
	})
	return text
}

var (
	linkPattern = regexp.MustCompile(`https?://\S+/sign-in/confirm\?t=\S+`)
	codePattern = regexp.MustCompile(`(?m)^\d{3} ?\d{3}\b`)
)

// evalAwait evaluates a promise.
func evalAwait[T any](p *person, js string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", js, err)
	}
	return v
}
