package e2e

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// axe is the accessibility checker. It is evaluated over the debugging protocol, since the pages' policy runs no script but
// their own.
var axe = sync.OnceValues(func() (string, error) {
	data, err := os.ReadFile("testdata/axe-core/axe.min.js")
	return string(data) + "\n;0", err
})

// audit looks at one page after another, as a person at it would who cannot see it, or sees it on a phone or at night.
type audit struct {
	*person
	origin string // what pages may load from
	titles map[string]string
	mu     sync.Mutex
	said   []string // what the console said
}

func newAudit(p *person) *audit {
	p.t.Helper()
	a := &audit{person: p, origin: p.d.info.PortalURL, titles: map[string]string{}}
	err := chromedp.Listen(p.ctx, func(event any) {
		switch e := event.(type) {
		case *log.EventEntryAdded:
			// The status of a page that is meant to be an error is no news.
			if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
				a.hear(e.Entry.Text)
			}
		case *runtime.EventExceptionThrown:
			a.hear(e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
				a.hear(fmt.Sprintf("console.%s", e.Type))
			}
		}
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return a
}

func (a *audit) hear(words string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.said = append(a.said, words)
}

// page opens an address and looks at it.
func (a *audit) page(path string) {
	a.t.Helper()
	a.open(path)
	a.look(path)
}

// look examines the page that is open, and calls it name.
func (a *audit) look(name string) {
	a.t.Helper()
	source, err := axe()
	if err != nil {
		a.t.Fatal(err)
	}
	a.show(1280, "light")
	eval[int](a.person, source)
	a.heads(name)
	a.breaks(name, "1280 light", "{}")
	a.show(1280, "dark")
	a.breaks(name, "1280 dark", `{runOnly: ["color-contrast"]}`)
	a.show(390, "dark")
	a.breaks(name, "390 dark", `{runOnly: ["color-contrast"]}`)
	a.show(390, "light")
	a.breaks(name, "390 light", "{}")
	a.fits(name, 390)
	a.show(320, "light")
	a.fits(name, 320)
	a.show(1280, "light")
	a.quiet(name)
}

// show sets the window's width and the color scheme of the person's device.
func (a *audit) show(width int64, scheme string) {
	a.t.Helper()
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme},
		{Name: "prefers-reduced-motion", Value: "reduce"}, // or colors would be measured on their way
	}}
	if _, err := chromedp.Call(a.ctx, emulation.SetEmulatedMedia, media); err != nil {
		a.t.Fatal(err)
	}
	a.do("resize", chromedp.EmulateViewport(width, 900))
}

// heads wants one first heading, and a title that no other page has.
func (a *audit) heads(name string) {
	a.t.Helper()
	if n := eval[int](a.person, `document.querySelectorAll("h1").length`); n != 1 {
		a.t.Errorf("%s has %d first headings", name, n)
	}
	title := eval[string](a.person, `document.title`)
	if other, taken := a.titles[title]; taken {
		a.t.Errorf("%s and %s are both called %q", name, other, title)
	}
	a.titles[title] = name
	if n := eval[int](a.person, `document.querySelectorAll("main .btn.pri").length`); n > 1 {
		a.t.Errorf("%s has %d primary buttons", name, n)
	}
	if n := eval[int](a.person, `document.querySelectorAll("main .note").length`); n > 1 {
		a.t.Errorf("%s has %d notices", name, n)
	}
	if glued := eval[string](a.person, `Array.from(document.querySelectorAll("main time, main a, main code"), e => {
		const text = (n) => n?.nodeType === Node.TEXT_NODE ? n.textContent : "";
		return /\w$/.test(text(e.previousSibling)) || /^\w/.test(text(e.nextSibling)) ? e.parentNode.textContent.trim() : "";
	}).filter(Boolean).join("\n")`); glued != "" {
		a.t.Errorf("%s has words without a space between them:\n%s", name, glued)
	}
	// An address is no sentence; that of a link holds random letters around a dot.
	if glued := eval[string](a.person, `(document.querySelector("main").innerText.replaceAll(/https?:\/\/\S+/g, "").match(/.*[a-z]{2}[.;:][A-Z][a-z].*/) ?? [""])[0]`); glued != "" {
		a.t.Errorf("%s has sentences without a space between them: %s", name, glued)
	}
	if dates := eval[string](a.person, `(() => {
		const found = [], walk = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
		while (walk.nextNode()) {
			const at = walk.currentNode.parentElement;
			if (/\d [A-Z][a-z]{2} 20\d\d/.test(walk.currentNode.textContent) && !at.closest("time, svg, pre, .vh")) found.push(at.textContent.trim());
		}
		return found.join("\n");
	})()`); dates != "" {
		a.t.Errorf("%s has dates that machines cannot read:\n%s", name, dates)
	}
	if bare := eval[string](a.person, `Array.from(document.querySelectorAll("time:not([datetime])"), e => e.textContent).join(", ")`); bare != "" {
		a.t.Errorf("%s has times without a datetime: %s", name, bare)
	}
}

// breaks wants no rule of accessibility broken.
func (a *audit) breaks(name, how, options string) {
	a.t.Helper()
	found := evalAwait[string](a.person, fmt.Sprintf(`axe.run(document, Object.assign({resultTypes: ["violations"]}, %s)).then(r =>
		r.violations.map(v => v.id + " (" + v.help + "): " + v.nodes.map(n => n.target + " " + n.any.map(c => c.message).join(" ")).join(" | ")).join("\n"))`, options))
	if found != "" {
		a.t.Errorf("%s at %s breaks:\n%s", name, how, found)
	}
}

// fits wants no sideways scrolling.
func (a *audit) fits(name string, width int) {
	a.t.Helper()
	over := eval[string](a.person, `(() => {
		const width = document.documentElement.clientWidth;
		if (document.documentElement.scrollWidth <= width) return "";
		const wide = Array.from(document.querySelectorAll("body *")).filter(e => e.getBoundingClientRect().right > width + 1 && !e.closest("pre, .tw, .nav, svg"));
		return wide.slice(0, 5).map(e => e.tagName + "." + e.className + " to " + Math.round(e.getBoundingClientRect().right)).join(", ") || "something";
	})()`)
	if over != "" {
		a.t.Errorf("%s is wider than %d px: %s", name, width, over)
	}
}

// quiet wants no complaint on the console, the content policy's among them, and nothing loaded from elsewhere.
func (a *audit) quiet(name string) {
	a.t.Helper()
	a.mu.Lock()
	said := strings.Join(a.said, "\n")
	a.said = nil
	a.mu.Unlock()
	if said != "" {
		a.t.Errorf("%s made the console say:\n%s", name, said)
	}
	elsewhere := eval[[]string](a.person, fmt.Sprintf(`performance.getEntriesByType("resource").map(e => e.name).filter(u => !u.startsWith(%q) && !u.startsWith("data:"))`, a.origin))
	if len(elsewhere) > 0 {
		a.t.Errorf("%s loads %v", name, elsewhere)
	}
}

// weight is how many bytes the page and what it loaded took over the wire.
func (a *audit) weight() int {
	a.t.Helper()
	evalAwait[bool](a.person, `document.fonts.ready.then(() => true)`) // they come last
	return eval[int](a.person, `["navigation", "resource"].flatMap(k => performance.getEntriesByType(k)).reduce((n, e) => n + e.transferSize, 0)`)
}
