package web

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/account"
	"github.com/metrum-ai/licensing-portal/web/view"
)

// resendAfter is how long a person waits before asking for another mail.
const resendAfter = time.Minute

func (s *server) signIn(w http.ResponseWriter, r *http.Request) error {
	returnTo := localPath(r.URL.Query().Get("return_to"))
	if _, ok := actorOf(r.Context()); ok {
		return see(w, r, returnTo)
	}
	return s.render(w, r, http.StatusOK, view.SignIn(view.SignInPage{Chrome: s.chrome(r, "Sign in", "sign-in"), ReturnTo: returnTo}))
}

// askSignIn mails a link and a code. The answer is the same whether or not the address is known.
func (s *server) askSignIn(w http.ResponseWriter, r *http.Request) error {
	if err := form(r); err != nil {
		return formError(err)
	}
	return s.sendSignIn(w, r, r.PostForm.Get("email"), localPath(r.PostForm.Get("return_to")))
}

func (s *server) sendSignIn(w http.ResponseWriter, r *http.Request, email, returnTo string) error {
	browser, err := s.ensureBrowserSecret(w, r)
	if err != nil {
		return err
	}
	in, err := s.Accounts.RequestSignIn(r.Context(), email, browser, s.ClientIP(r), returnTo)
	if errors.Is(err, account.ErrEmailInvalid) {
		p := view.SignInPage{Chrome: s.chrome(r, "Sign in", "sign-in"), Email: email, ReturnTo: returnTo}
		p.Errors = view.Errors{{Field: "email", Message: "Enter an e-mail address like name@company.example"}}
		return s.render(w, r, http.StatusBadRequest, view.SignIn(p))
	}
	if err != nil {
		return err
	}
	s.sessions.Put(r.Context(), sessSignIn, in.ID)
	s.sessions.Put(r.Context(), sessSignInEmail, in.Email)
	s.sessions.Put(r.Context(), sessSignInAt, s.now().Unix())
	s.sessions.Put(r.Context(), sessReturnTo, returnTo)
	return see(w, r, "/sign-in/sent")
}

func (s *server) signInSent(w http.ResponseWriter, r *http.Request) error {
	if s.sessions.GetString(r.Context(), sessSignIn) == "" {
		return see(w, r, "/sign-in")
	}
	return s.render(w, r, http.StatusOK, view.SignInSent(s.sentPage(r)))
}

func (s *server) sentPage(r *http.Request) view.SentPage {
	return view.SentPage{
		Chrome: s.chrome(r, "Check your e-mail", "sign-in"),
		Masked: view.MaskEmail(s.sessions.GetString(r.Context(), sessSignInEmail)),
	}
}

// resendSignIn mails anew to the address asked for before.
func (s *server) resendSignIn(w http.ResponseWriter, r *http.Request) error {
	email := s.sessions.GetString(r.Context(), sessSignInEmail)
	if email == "" {
		return see(w, r, "/sign-in")
	}
	next := time.Unix(s.sessions.GetInt64(r.Context(), sessSignInAt), 0).Add(resendAfter)
	if s.now().Before(next) {
		p := s.sentPage(r)
		p.WaitUntil = next
		return s.render(w, r, http.StatusTooManyRequests, view.SignInSent(p))
	}
	return s.sendSignIn(w, r, email, localPath(s.sessions.GetString(r.Context(), sessReturnTo)))
}

func (s *server) confirmCode(w http.ResponseWriter, r *http.Request) error {
	if err := form(r); err != nil {
		return formError(err)
	}
	id := s.sessions.GetString(r.Context(), sessSignIn)
	if id == "" {
		return see(w, r, "/sign-in")
	}
	ctx := account.WithRemoteIP(r.Context(), s.ClientIP(r)) // guesses are counted by network too
	user, in, err := s.Accounts.ConfirmCode(ctx, id, s.browserSecret(r), r.PostForm.Get("code"))
	message := ""
	switch {
	case errors.Is(err, account.ErrCodeWrong):
		message = "That is not the code in the newest e-mail. Check it and type it again"
	case errors.Is(err, account.ErrCodeTries):
		message = "The code was wrong five times and no longer works. Ask for a new one below"
	case errors.Is(err, account.ErrLinkExpired):
		message = "The code expired. Ask for a new one below"
	case errors.Is(err, account.ErrLinkUsed):
		message = "The code was already used. Ask for a new one below"
	case errors.Is(err, account.ErrLinkUnknown), errors.Is(err, account.ErrLinkOtherBrowser):
		message = "The code belongs to another browser. Ask for a new one below"
	case err != nil:
		return err
	}
	if message != "" {
		p := s.sentPage(r)
		p.Errors = view.Errors{{Field: "code", Message: message}}
		return s.render(w, r, http.StatusBadRequest, view.SignInSent(p))
	}
	return s.signedIn(w, r, user, in)
}

// signInLink shows what a mailed link is for and changes nothing, so that a mail scanner may open it.
func (s *server) signInLink(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("t")
	in, err := s.Accounts.PeekLink(r.Context(), token, s.browserSecret(r))
	if err != nil {
		return s.linkTrouble(w, r, err)
	}
	return s.render(w, r, http.StatusOK, view.SignInConfirm(view.ConfirmPage{
		Chrome: s.chrome(r, "Sign in by the mailed link", "sign-in"), Token: token, Masked: view.MaskEmail(in.Email),
	}))
}

func (s *server) confirmLink(w http.ResponseWriter, r *http.Request) error {
	if err := form(r); err != nil {
		return formError(err)
	}
	user, in, err := s.Accounts.ConfirmLink(r.Context(), r.PostForm.Get("t"), s.browserSecret(r))
	if err != nil {
		return s.linkTrouble(w, r, err)
	}
	return s.signedIn(w, r, user, in)
}

// linkTrouble shows why a link does not work, each reason with its own words and a way on.
func (s *server) linkTrouble(w http.ResponseWriter, r *http.Request, err error) error {
	p := view.LinkTroublePage{Waiting: s.sessions.GetString(r.Context(), sessSignIn) != ""}
	status := http.StatusGone
	switch {
	case errors.Is(err, account.ErrLinkExpired):
		p.Heading, p.Text = "This link expired", "Links to sign in work for 15 minutes."
	case errors.Is(err, account.ErrLinkUsed):
		p.Heading, p.Text = "This link was already used", "Each link signs in once. If that was not you, write to us."
	case errors.Is(err, account.ErrLinkOtherBrowser):
		status = http.StatusForbidden
		p.Heading, p.Text = "Open the link in the browser where you asked for it", "Or type the code from the e-mail there."
		p.Waiting = false
	case errors.Is(err, account.ErrLinkUnknown):
		status = http.StatusNotFound
		p.Heading, p.Text = "We do not know this link", "It may have been cut off on the way. Copy the whole address from the e-mail, or type the code."
	default:
		return err
	}
	p.Chrome = s.chrome(r, p.Heading, "sign-in")
	return s.render(w, r, status, view.LinkTrouble(p))
}

// signedIn starts a session under a new token and goes where the person wanted to go.
func (s *server) signedIn(w http.ResponseWriter, r *http.Request, user account.User, in account.SignIn) error {
	ctx := r.Context()
	if err := s.sessions.RenewToken(ctx); err != nil {
		return err
	}
	for _, key := range []string{sessSignIn, sessSignInEmail, sessSignInAt, sessOrganization} {
		s.sessions.Remove(ctx, key)
	}
	s.sessions.Put(ctx, sessUser, user.ID)
	returnTo := localPath(in.ReturnTo)
	s.sessions.Put(ctx, sessReturnTo, returnTo)
	_, memberships, err := s.Accounts.Memberships(ctx, user.ID)
	if err != nil {
		return err
	}
	switch len(memberships) {
	case 0:
		return see(w, r, "/welcome")
	case 1:
		s.sessions.Put(ctx, sessOrganization, memberships[0].Organization.ID)
		return see(w, r, returnTo)
	}
	return see(w, r, "/sign-in/choose")
}

func (s *server) choose(w http.ResponseWriter, r *http.Request) error {
	a := member(r)
	if len(a.memberships) == 0 {
		return see(w, r, "/welcome")
	}
	return s.render(w, r, http.StatusOK, view.Choose(s.choosePage(r)))
}

func (s *server) choosePage(r *http.Request) view.ChoosePage {
	a := member(r)
	p := view.ChoosePage{Chrome: s.chrome(r, "Choose an organization", ""), Chosen: a.organization.ID}
	for _, m := range a.memberships {
		p.Organizations = append(p.Organizations, m.Organization)
	}
	return p
}

func (s *server) chooseOrganization(w http.ResponseWriter, r *http.Request) error {
	if err := form(r); err != nil {
		return formError(err)
	}
	for _, m := range member(r).memberships {
		if m.Organization.ID == r.PostForm.Get("organization") {
			s.sessions.Put(r.Context(), sessOrganization, m.Organization.ID)
			return see(w, r, localPath(s.sessions.PopString(r.Context(), sessReturnTo)))
		}
	}
	p := s.choosePage(r)
	p.Errors = view.Errors{{Field: "organization", Message: "Choose one of your organizations"}}
	return s.render(w, r, http.StatusBadRequest, view.Choose(p))
}

func (s *server) welcome(w http.ResponseWriter, r *http.Request) error {
	if len(member(r).memberships) > 0 {
		return see(w, r, "/")
	}
	return s.render(w, r, http.StatusOK, view.Welcome(view.WelcomePage{Chrome: s.chrome(r, "Name your organization", "")}))
}

func (s *server) nameOrganization(w http.ResponseWriter, r *http.Request) error {
	if err := form(r); err != nil {
		return formError(err)
	}
	if len(member(r).memberships) > 0 { // a second click: the first one made it
		return see(w, r, "/")
	}
	name := r.PostForm.Get("name")
	org, err := s.Accounts.CreateOrganization(r.Context(), member(r).user.ID, name)
	if errors.Is(err, account.ErrNameInvalid) {
		p := view.WelcomePage{Chrome: s.chrome(r, "Name your organization", ""), Name: name}
		p.Errors = view.Errors{{Field: "name", Message: "Enter a name of 1 to 100 characters, at most 200 bytes"}}
		return s.render(w, r, http.StatusBadRequest, view.Welcome(p))
	}
	if err != nil {
		return err
	}
	s.sessions.Put(r.Context(), sessOrganization, org.ID)
	return see(w, r, localPath(s.sessions.PopString(r.Context(), sessReturnTo)))
}

func (s *server) signOut(w http.ResponseWriter, r *http.Request) error {
	if err := s.sessions.Destroy(r.Context()); err != nil {
		return err
	}
	return see(w, r, "/")
}

// formError keeps the errors that have a page of their own, and calls the rest a bad form.
func formError(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.Is(err, errContentType) || errors.As(err, &tooLarge) {
		return err
	}
	return badForm{err}
}

// withQuery adds a query to a path.
func withQuery(path string, values url.Values) string {
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}
