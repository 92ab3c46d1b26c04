package web

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// Bounds of what a request may carry.
const (
	maxForm    = 64 << 10
	maxWebhook = 512 << 10
)

// routes lays out the address space. Three rings: what needs no session (static files, revocations, health,
// webhook), what anyone may
// see, and what needs a member of an organization.
func (s *server) routes() http.Handler {
	r := chi.NewRouter()
	r.Use(s.identify, s.headers, s.access, s.recoverPanic)
	// Who is signed in stays so on a page that is not there.
	r.NotFound(s.sessions.LoadAndSave(s.loadActor(s.page(func(http.ResponseWriter, *http.Request) error { return errNotFound }))).ServeHTTP)
	r.MethodNotAllowed(s.page(func(http.ResponseWriter, *http.Request) error { return errMethod }))

	r.Get("/static/{file}", s.static.serve)
	r.Head("/static/{file}", s.static.serve)
	s.get(r, "/revocations.json", s.revocations)
	r.Get("/healthz", s.health)
	r.Post("/webhooks/stripe", s.webhook)

	r.Group(func(r chi.Router) {
		r.Use(s.crossOrigin.Handler, s.limitBody, s.sessions.LoadAndSave, s.loadActor, s.readable)
		s.publicRoutes(r)
		r.Group(func(r chi.Router) {
			r.Use(s.requireUser)
			s.userRoutes(r)
			r.Group(func(r chi.Router) {
				r.Use(s.requireOrganization)
				s.memberRoutes(r)
			})
		})
	})
	return r
}

// get serves a page to GET and HEAD.
func (s *server) get(r chi.Router, pattern string, h handler) {
	r.Get(pattern, s.page(h))
	r.Head(pattern, s.page(h))
}

func (s *server) publicRoutes(r chi.Router) {
	s.get(r, "/", s.home)
	s.get(r, "/packages", s.packages)
	s.get(r, "/packages/{sku}", s.packagePage)
	s.get(r, "/keys", s.keys)
	s.get(r, "/keys/keyring.json", s.keyRing)
	s.get(r, "/help", s.help)
	s.get(r, "/preferences", s.preferences)
	r.Post("/preferences/theme", s.page(s.setTheme))

	s.get(r, "/sign-in", s.signIn)
	r.Post("/sign-in", s.page(s.askSignIn))
	s.get(r, "/sign-in/sent", s.signInSent)
	r.Post("/sign-in/resend", s.page(s.resendSignIn))
	r.Post("/sign-in/code", s.page(s.confirmCode))
	s.get(r, "/sign-in/confirm", s.signInLink)
	r.Post("/sign-in/confirm", s.page(s.confirmLink))
	r.Post("/sign-out", s.page(s.signOut))

	s.get(r, "/d/{token}", s.handOut)
	r.Post("/d/{token}", s.page(s.handOutFile))

	s.get(r, "/staff/enroll/{token}", s.enroll)
	r.Post("/staff/enroll/{token}", s.page(s.enrolled))
	s.get(r, "/staff/requests/{token}", s.staffRequest)
	r.Post("/staff/requests/{token}", s.page(s.standByRequest))
}

func (s *server) userRoutes(r chi.Router) {
	s.get(r, "/sign-in/choose", s.choose)
	r.Post("/sign-in/choose", s.page(s.chooseOrganization))
	s.get(r, "/welcome", s.welcome)
	r.Post("/welcome", s.page(s.nameOrganization))
}

func (s *server) memberRoutes(r chi.Router) {
	s.get(r, "/checkout/{sku}", s.configure)
	r.Post("/checkout/{sku}", s.page(s.buyer(s.draft)))
	s.get(r, "/checkout/review", s.review)

	s.get(r, "/orders", s.orders)
	s.get(r, "/orders/{order}", s.order)
	r.Get("/orders/{order}/events", s.page(s.orderEvents))
	r.Post("/orders/{order}/pay", s.page(s.buyer(s.pay)))
	r.Post("/orders/{order}/cancel", s.page(s.buyer(s.cancelOrder)))
	r.Post("/orders/{order}/billing", s.page(s.buyer(s.manageBilling)))
	s.get(r, "/orders/{order}/quote.pdf", s.quotePDF)
	s.get(r, "/orders/{order}/invoice", s.buyer(s.toInvoice(func(i fulfillment.Invoice) string { return i.HostedURL })))
	s.get(r, "/orders/{order}/invoice.pdf", s.toInvoice(func(i fulfillment.Invoice) string { return i.PDFURL }))
	s.get(r, "/orders/{order}/accept", s.buyer(s.answerQuote(true)))
	r.Post("/orders/{order}/accept", s.page(s.buyer(s.acceptQuote)))
	s.get(r, "/orders/{order}/decline", s.buyer(s.answerQuote(false)))
	r.Post("/orders/{order}/decline", s.page(s.buyer(s.declineQuote)))

	s.get(r, "/licenses", s.licenses)
	s.get(r, "/licenses/{license}", s.license)
	s.get(r, "/licenses/{license}/license.json", s.downloadLicense)
	s.get(r, "/licenses/{license}/license.json.sha256", s.downloadChecksum)
	r.Post("/licenses/{license}/installed", s.page(s.changer(s.markInstalled)))
	r.Post("/licenses/{license}/links", s.page(s.changer(s.createLink)))
	r.Post("/licenses/{license}/links/{link}/revoke", s.page(s.changer(s.revokeLink)))
	s.get(r, "/renew/{license}", s.renew)
	s.get(r, "/top-up/{license}", s.topUp)
}
