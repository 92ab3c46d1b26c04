package e2e

import (
	"net/http"
	"strings"
	"testing"
)

func TestASignInLinkIsSpentByItsButtonAndByNothingElse(t *testing.T) {
	t.Parallel()
	p := newPerson(t, shared, newAddress(t))
	p.askToSignIn()
	link := p.signInLink()
	for _, method := range []string{http.MethodHead, http.MethodGet, http.MethodGet} {
		if status, _, _ := request(t, method, link, nil, nil); status >= 500 {
			t.Fatalf("%s of the link: %d", method, status)
		}
	}
	other := newPerson(t, shared, p.email)
	other.open(link)
	other.sees("browser") // it belongs to the one that asked
	p.open(link)
	p.press(`form[action="/sign-in/confirm"] button`)
	p.sees("Name your organization")
	p.open(link)
	p.sees("already used")
}

func TestACodeTypedByHandSignsInAndFiveWrongOnesEndIt(t *testing.T) {
	t.Parallel()
	p := newPerson(t, shared, newAddress(t))
	p.askToSignIn()
	code := codePattern.FindString(p.mailWith("/sign-in/confirm?t="))
	if code == "" {
		t.Fatal("no code in the mail")
	}
	wrong := "000000"
	if strings.ReplaceAll(code, " ", "") == wrong {
		wrong = "000001"
	}
	p.fill("code", wrong)
	p.press(`form[action="/sign-in/code"] button`)
	p.sees("There is a problem")
	p.fill("code", code)
	p.press(`form[action="/sign-in/code"] button`)
	p.sees("Name your organization")

	q := newPerson(t, shared, newAddress(t))
	q.askToSignIn()
	right := codePattern.FindString(q.mailWith("/sign-in/confirm?t="))
	for range 5 {
		q.fill("code", wrong)
		q.press(`form[action="/sign-in/code"] button`)
	}
	if q.has(`[name="code"]`) {
		q.fill("code", right)
		q.press(`form[action="/sign-in/code"] button`)
	}
	q.doesNotSee("Name your organization")
}
