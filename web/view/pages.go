package view

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/account"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/passkey"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

// Chrome is what every page shares.
type Chrome struct {
	Title, Nav, Path, Theme, RequestID, Contact string
	Organization, Email                         string
	SignedIn, Several, MayBuy, MayChange        bool
	TestMode                                    bool
	Scripts                                     bool // the page follows live
	Copies                                      bool // the page has copy buttons
	Passkeys                                    bool // the page asks for a passkey
	RefreshSeconds                              int  // 0: never
	Asset                                       func(name string) string
	Now                                         time.Time
}

// Named reports whether a member of an organization looks at the page.
func (c Chrome) Named() bool { return c.SignedIn && c.Organization != "" }

// FieldError is a mistake in a field; the field's input has the ID "f-" and its name.
type FieldError struct{ Field, Message string }

// Errors are a form's mistakes, in page order.
type Errors []FieldError

// At is the message for a field, "" where it has none.
func (e Errors) At(field string) string {
	for _, f := range e {
		if f.Field == field {
			return f.Message
		}
	}
	return ""
}

// FormField maps a request's field to the name it has in the form.
func FormField(name string) string {
	switch {
	case name == "deployment_id":
		return "deployment"
	case name == "deployment_name", name == "environment":
		return name
	case strings.HasPrefix(name, "fingerprint"): // fingerprint_1 and on
		return "fingerprint"
	}
	return "form"
}

// The pages, one struct each.
type (
	// ErrorPage says what happened, what to do, and the request to name.
	ErrorPage struct {
		Chrome
		Status              int
		Heading, Text, Todo string
	}
	// EnrollPage lets a member of staff make a passkey, or shows the record of one just made.
	EnrollPage struct {
		Chrome
		Errors     Errors
		Token      string
		Invitation passkey.Invitation
		Record     *trust.Approver
		Gone       string // why the link leads nowhere, in a sentence
	}
	// RequestPage shows a staff request and takes a passkey's assertion over it.
	RequestPage struct {
		Chrome
		Errors  Errors
		Token   string
		Heading string
		Opened  fulfillment.Opened
		Gone    string // why the link leads nowhere, in a sentence
	}
	// HomePage is the overview of a member, or the way in.
	HomePage struct {
		Chrome
		Needs []Need
		Lines []Line
		More  bool
		Empty bool
	}
	// PackagesPage lists what is sold.
	PackagesPage struct {
		Chrome
		Try, Run, Volume, Quoted, Compared []catalog.Template
	}
	// PackagePage is one package.
	PackagePage struct {
		Chrome
		Template catalog.Template
		Compared []catalog.Template
		Running  []Offer
		// Evaluated is the evaluation that the organization had already, where the package is one.
		Evaluated *fulfillment.License
	}
	// Offer is a license that the package could extend instead of starting anew.
	Offer struct {
		License      fulfillment.License
		Renew, TopUp bool
	}
	// ConfigurePage asks what a license is for.
	ConfigurePage struct {
		Chrome
		Errors                     Errors
		Template                   catalog.Template
		Kind                       catalog.IssuanceKind
		OrderID, FormKey           string
		Deployments                []fulfillment.Deployment
		Deployment, DeploymentName string
		Environments, Fingerprints []string
		Base                       *fulfillment.License
		HashedFingerprints         int
	}
	// ReviewPage shows every answer once more.
	ReviewPage struct {
		Chrome
		Order        fulfillment.Order
		Preview      license.Payload
		Base         *fulfillment.License
		Changed      []Change
		ChangeURL    string
		PriceWas     int64
		PriceChanged bool
		Refused      string
	}
	// OrdersPage lists orders.
	OrdersPage struct {
		Chrome
		Orders []fulfillment.Order
		Next   string
		First  bool
	}
	// OrderPage is an order's progress and receipt.
	OrderPage struct {
		Chrome
		Order      fulfillment.Order
		Phase      Phase
		License    *fulfillment.License
		Live       bool
		Subscribed *fulfillment.Subscribed // that the order began or is a cycle of; nil if none
		// Of an order by quote; nil while there is none.
		Quote   *fulfillment.Quote
		Invoice *fulfillment.Invoice
		Preview *license.Payload // what the license would contain
	}
	// LicensesPage lists licenses.
	LicensesPage struct {
		Chrome
		Filter  fulfillment.LicenseFilter
		Groups  []Group
		Pending []fulfillment.Order
		Next    string
		First   bool
	}
	// LicensePage is one license.
	LicensePage struct {
		Chrome
		License            fulfillment.License
		Lineage            []fulfillment.License
		Previous           *fulfillment.License
		Changed            []Change
		Same               []Field
		Install            Install
		Links              []fulfillment.Link
		MayRenew, MayTopUp bool

		Subscribed *fulfillment.Subscribed // of the deployment; nil if none
	}
	// LinkMadePage shows a new re-download link, once.
	LinkMadePage struct {
		Chrome
		License fulfillment.License
		Link    fulfillment.Link
		URL     string
	}
	// ExtendPage shows a license before and after a renewal or top-up.
	ExtendPage struct {
		Chrome
		Kind      catalog.IssuanceKind
		License   fulfillment.License
		Offers    []catalog.Template
		Chosen    catalog.Template
		After     *fulfillment.License
		Changed   []Change
		Same      []Field
		Why       string
		FormKey   string
		NeedsForm bool
	}
	// HandOutPage is behind a re-download link.
	HandOutPage struct {
		Chrome
		Token   string
		Link    fulfillment.Link
		License fulfillment.License
		Unknown bool
	}
	// SignInPage asks for an address.
	SignInPage struct {
		Chrome
		Errors          Errors
		Email, ReturnTo string
	}
	// SentPage asks for the code that was mailed.
	SentPage struct {
		Chrome
		Errors    Errors
		Masked    string
		WaitUntil time.Time
	}
	// ConfirmPage is behind a mailed link.
	ConfirmPage struct {
		Chrome
		Token, Masked string
	}
	// LinkTroublePage says why a mailed link does not work.
	LinkTroublePage struct {
		Chrome
		Heading, Text string
		Waiting       bool
	}
	// ChoosePage picks one of several organizations.
	ChoosePage struct {
		Chrome
		Errors        Errors
		Organizations []account.Organization
		Chosen        string
	}
	// WelcomePage names a new organization.
	WelcomePage struct {
		Chrome
		Errors Errors
		Name   string
	}
	// KeysPage shows the public keys and the revocation bundle.
	KeysPage struct {
		Chrome
		Keys      []trust.Key
		Version   int64
		Bundle    fulfillment.RevocationBundle // zero where it cannot be had
		BundleURL string
	}
	// HelpPage is how to get help.
	HelpPage struct{ Chrome }
	// PreferencesPage sets the theme.
	PreferencesPage struct{ Chrome }
)

// Check finds what is missing before the services are asked.
func (p ConfigurePage) Check() Errors {
	var e Errors
	if p.Base == nil {
		switch {
		case p.Deployment == "":
			e = append(e, FieldError{"deployment", "Choose a deployment or name a new one"})
		case p.Deployment == "new" && p.DeploymentName == "":
			e = append(e, FieldError{"deployment_name", "Enter a name for the new deployment"})
		}
		if len(p.Environments) == 0 {
			e = append(e, FieldError{"environment", "Choose at least one environment"})
		}
	}
	most := p.MostFingerprints()
	switch {
	case most == 0 && len(p.Fingerprints) > 0:
		e = append(e, FieldError{"fingerprint", "Enter no fingerprint: this license will not be bound to an instance"})
	case len(p.Fingerprints) > most:
		e = append(e, FieldError{"fingerprint", "Enter at most " + Count(int64(most), "fingerprint")})
	case p.HashedFingerprints > 0 && len(p.Fingerprints) != p.HashedFingerprints:
		e = append(e, FieldError{"fingerprint", "Enter every fingerprint that the present license names: " + Count(int64(p.HashedFingerprints), "fingerprint")})
	}
	return e
}

// MostFingerprints is how many the form takes.
func (p ConfigurePage) MostFingerprints() int {
	switch {
	case p.Base != nil:
		return p.HashedFingerprints
	case !p.Template.FingerprintRequired:
		return 0
	}
	return int(max(1, min(p.Template.Limits.MaxInstances, 20)))
}

// guilloche is the fine ornament of a license: bands of waves around a ring, as on security print. It depends on the
// license ID alone, so that a license looks the same whenever it is shown.
func guilloche(seed string) []string {
	var h uint32 = 2166136261
	for _, b := range []byte(seed) {
		h = (h ^ uint32(b)) * 16777619
	}
	const bands, points = 5, 180
	waves := float64(11 + h%5)
	var paths []string
	for band := range bands {
		var d strings.Builder
		phase := 2 * math.Pi * float64(band) / bands
		for n := range points + 1 {
			t := 2 * math.Pi * float64(n) / points
			r := 74 + 15*math.Sin(waves*t+phase) + 8*math.Cos(3*t+2*phase)
			command := "L"
			if n == 0 {
				command = "M"
			}
			fmt.Fprintf(&d, "%s%.1f %.1f", command, 150+1.35*r*math.Cos(t), 100+r*math.Sin(t))
		}
		paths = append(paths, d.String())
	}
	return paths
}
