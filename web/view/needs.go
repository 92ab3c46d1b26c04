package view

import (
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/license"
)

// Need is one thing that waits for the customer: what is true, what it means, what to do.
type Need struct {
	Title, Text, Action, URL string
	Class                    string // warn, bad or info
}

// NeedsYou lists what waits for the customer, most urgent first.
func NeedsYou(orders []fulfillment.Order, licenses []fulfillment.License, now time.Time, mayBuy bool) []Need {
	var stopped, soon, install, pay, wait []Need
	for _, l := range licenses {
		name, url := l.TemplateName+" for "+l.DeploymentName, "/licenses/"+l.ID
		if n, ok := withdrawnNeed(l, name, url, now); ok {
			stopped = append(stopped, n)
			continue
		}
		if !l.Newest || l.SupersededBy != "" {
			continue
		}
		expires := Stamp(l.Payload.ExpiresAt)
		switch {
		case l.Standing(now) == fulfillment.StandingExpired && now.Sub(l.Payload.ExpiresAt) < 30*24*time.Hour:
			stopped = append(stopped, Need{Class: "bad", Title: name + " expired", Text: "It stopped working on " + expires + ", " + Relative(l.Payload.ExpiresAt, now) + ".", Action: "Open the license", URL: url})
		case l.RunsOutSoon:
			soon = append(soon, Need{Class: "warn", Title: name + " expires " + Relative(l.Payload.ExpiresAt, now), Text: "It works until " + expires + ".", Action: "Open the license", URL: url})
		case l.Standing(now) == fulfillment.StandingValid && l.InstalledAt.IsZero():
			n := Need{Class: "info", Title: "Install " + name, Text: "It is issued. Download it and put it beside your router, then mark it as installed.", Action: "Go to install steps", URL: url + "#install"}
			install = append(install, n)
		}
	}
	for _, o := range orders {
		url := "/orders/" + o.ID
		name := o.Snapshot.Template.Name + ", " + Money(o.Snapshot.Total, o.Snapshot.Currency)
		switch PhaseOf(o, now) {
		case PhaseFailed:
			pay = append(pay, Need{Class: "warn", Title: "Payment was not taken: " + name, Text: "Your answers are kept.", Action: "Open the order", URL: url})
		case PhaseOwed:
			pay = append(pay, Need{Class: "warn", Title: "The next payment is not in yet: " + name, Text: "Stripe charges by itself. Where that failed, the order's page says what to do.", Action: "Open the order", URL: url})
		case PhaseChecking:
			pay = append(pay, Need{Class: "info", Title: "Not paid yet: " + name, Text: "Go on with the payment, or cancel the order.", Action: "Open the order", URL: url})
		case PhaseQuote:
			pay = append(pay, Need{Class: "info", Title: "A quote waits for you: " + name, Text: "Read it, then accept or decline. Nothing is owed until you accept.", Action: "Open the quote", URL: url})
		case PhaseInvoice:
			pay = append(pay, Need{Class: "info", Title: "An invoice is to be paid: " + name, Text: "By card or bank transfer. The license is issued when the payment has arrived.", Action: "Open the order", URL: url})
		case PhaseDraft:
			if mayBuy {
				pay = append(pay, Need{Class: "info", Title: "Not ordered yet: " + name, Text: "Your answers are kept.", Action: "Check the order", URL: "/checkout/review?order=" + o.ID})
			}
		case PhaseLate:
			wait = append(wait, Need{Class: "info", Title: "Paid, not yet issued: " + name, Text: "Your payment is safe. We keep trying, and will e-mail you.", Action: "Open the order", URL: url})
		}
	}
	all := append(stopped, soon...)
	all = append(all, install...)
	all = append(all, pay...)
	return append(all, wait...) // nothing to do but to know
}

// withdrawnNeed is what a customer should know of a license that a revocation bundle names: for a month after it stopped,
// and before it will.
func withdrawnNeed(l fulfillment.License, name, url string, now time.Time) (Need, bool) {
	e := l.Withdrawn
	if e == nil || now.Sub(e.EffectiveAt) > 30*24*time.Hour || !now.Before(l.Payload.ExpiresAt) {
		return Need{}, false
	}
	n := Need{Class: "bad", Action: "Open the license", URL: url, Title: name + " was " + e.Status, Text: WithdrawnWords(l)}
	switch {
	case e.Pending(now):
		n.Class, n.Title, n.Text = "warn", name+" will be "+e.Status, "It works until "+Stamp(e.EffectiveAt)+withdrawnWhy(*e)+"."
	case e.Status == license.StatusSuspended:
		n.Title = name + " is suspended"
	}
	return n, true
}

// Line is one deployment on the overview: its newest license.
type Line struct {
	License fulfillment.License
}

// Lines takes the newest license of each deployment, in the order given.
func Lines(licenses []fulfillment.License) []Line {
	var lines []Line
	for _, l := range licenses {
		if l.Newest {
			lines = append(lines, Line{License: l})
		}
	}
	return lines
}

// Group is a deployment's licenses on the list.
type Group struct {
	Name, ID string
	Licenses []fulfillment.License
}

// GroupByDeployment keeps the order in which deployments and licenses come.
func GroupByDeployment(licenses []fulfillment.License) []Group {
	var groups []Group
	at := map[string]int{}
	for _, l := range licenses {
		n, ok := at[l.DeploymentID]
		if !ok {
			n = len(groups)
			at[l.DeploymentID] = n
			groups = append(groups, Group{Name: l.DeploymentName, ID: l.DeploymentID})
		}
		groups[n].Licenses = append(groups[n].Licenses, l)
	}
	return groups
}

// Elapsed is how much of a license's time has passed at now, in percent.
func Elapsed(l fulfillment.License, now time.Time) float64 {
	whole := l.Payload.ExpiresAt.Sub(l.Payload.NotBefore)
	if whole <= 0 {
		return 100
	}
	return min(100, max(0, 100*float64(now.Sub(l.Payload.NotBefore))/float64(whole)))
}
