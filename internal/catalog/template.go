// Package catalog holds what may be sold and signed, and turns a purchase into the payload of a license.
//
// Everything here is pure: no clock, no network, no database. The portal previews with the same Render that the signer
// signs with, so a customer is shown what the license will contain.
package catalog

import (
	"fmt"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// Kind says what a template sells: a term or a pack of volume.
type Kind string

// The kinds of template.
const (
	KindTime   Kind = "time"
	KindVolume Kind = "volume"
)

// Channel says how a template is bought.
type Channel string

// The channels: self-service checkout, or a quote and its invoice.
const (
	ChannelCheckout Channel = "checkout"
	ChannelInvoice  Channel = "invoice"
)

// Interval is the billing interval of a subscription; empty for a one-time price.
type Interval string

// The billing intervals.
const (
	OneTime Interval = ""
	Monthly Interval = "month"
	Yearly  Interval = "year"
)

// Price is an exact amount in the minor units of Currency (an upper-case ISO 4217 code). LookupKey names the price at
// Stripe: <sku>.v<version>. A template whose price is agreed by contract has no price here.
type Price struct {
	Currency   string   `json:"currency"`
	UnitAmount int64    `json:"unit_amount"`
	Interval   Interval `json:"interval,omitempty"`
	LookupKey  string   `json:"lookup_key"`
	ByContract bool     `json:"by_contract,omitempty"`
}

// Term is how long a license runs: calendar months or hours, exactly one of them, or an end date agreed by contract.
type Term struct {
	Months     int  `json:"months,omitempty"`
	Hours      int  `json:"hours,omitempty"`
	ByContract bool `json:"by_contract,omitempty"`
}

// Template is an approved package in one version. A template is immutable once a bundle has carried it.
type Template struct {
	SKU                 string          `json:"sku"`
	Version             int             `json:"version"`
	Name                string          `json:"name"`
	Summary             string          `json:"summary"` // whom it suits, one sentence for the package page
	Kind                Kind            `json:"kind"`
	Channel             Channel         `json:"channel"`
	Price               Price           `json:"price"`
	Term                Term            `json:"term"`
	GraceHours          int             `json:"grace_hours,omitempty"`
	Features            []string        `json:"features"`
	AddOnFeatures       []string        `json:"add_on_features,omitempty"` // by contract only
	Limits              license.Limits  `json:"limits"`
	ContractLimits      *license.Limits `json:"contract_limits,omitempty"` // the most that anyone may raise each limit to; 0 leaves it
	DeploymentMode      string          `json:"deployment_mode"`
	Environments        []string        `json:"environments"`
	FingerprintRequired bool            `json:"fingerprint_required,omitempty"`
	MaxQuantity         int             `json:"max_quantity"`               // 1 for every launch template
	OnePerCustomer      bool            `json:"one_per_customer,omitempty"` // evaluations
	Evaluation          bool            `json:"evaluation,omitempty"`       // evaluations do not renew
	ClosedAt            *time.Time      `json:"closed_at,omitempty"`
	RenewalsUntil       *time.Time      `json:"renewals_until,omitempty"`
}

// Ref is how an intent names a template: sku@version.
func (t Template) Ref() string { return fmt.Sprintf("%s@%d", t.SKU, t.Version) }

// LookupKey is the name of the template's price at Stripe; it is never transferred to another price.
func (t Template) LookupKey() string { return fmt.Sprintf("%s.v%d", t.SKU, t.Version) }

// SelfService reports whether a customer buys the template alone at Stripe's checkout, once or by subscription.
func (t Template) SelfService() bool { return t.Channel == ChannelCheckout }

// Subscription reports whether the template is billed again every interval.
func (t Template) Subscription() bool { return t.Price.Interval != OneTime }

// Open reports whether the template may be sold at the given time.
func (t Template) Open(at time.Time) bool { return t.ClosedAt == nil || at.Before(*t.ClosedAt) }

// Free reports whether the template costs nothing, so that no payment proves it and caps bound it.
func (t Template) Free() bool { return !t.Price.ByContract && t.Price.UnitAmount == 0 }
