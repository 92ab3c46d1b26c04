package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/web/view"
)

// maxFormKey bounds the key that makes a form sent twice one order; pages make keys of 24 bytes.
const maxFormKey = 100

// newDeployment is the radio value that asks for a new deployment.
const newDeployment = "new"

// configure asks what the license is for. With ?order= it asks again for a draft, its answers kept; with ?renew= or
// ?top_up= the base answers nearly everything.
func (s *server) configure(w http.ResponseWriter, r *http.Request) error {
	p, err := s.configurePage(r, r.URL.Query())
	if err != nil {
		return err
	}
	if p.FormKey, err = s.randomName(15); err != nil {
		return err
	}
	switch {
	case p.OrderID != "":
		o, err := s.Orders.Order(r.Context(), member(r).organization.ID, p.OrderID)
		if err != nil {
			return err
		}
		if o.State != fulfillment.StateDraft {
			return see(w, r, "/orders/"+o.ID)
		}
		p.Deployment, p.DeploymentName = o.DeploymentID, ""
		if !known(p.Deployments, o.DeploymentID) { // it is made when the order goes to payment
			p.Deployment, p.DeploymentName = newDeployment, o.DeploymentName
		}
		p.Errors = takenMeanwhile(r.URL.Query().Get("taken"))
		p.Environments, p.Fingerprints = o.Snapshot.Intent.Environments, o.Snapshot.Intent.Fingerprints
	case len(p.Deployments) == 0:
		p.Deployment = newDeployment
	}
	if len(p.Template.Environments) == 1 {
		p.Environments = p.Template.Environments
	}
	return s.render(w, r, http.StatusOK, view.Configure(p))
}

// takenMeanwhile says what became of the deployment between the draft and the payment.
func takenMeanwhile(what string) view.Errors {
	switch what {
	case "":
		return nil
	case takenSubscription:
		return view.Errors{{Field: "deployment", Message: "This deployment has a subscription by now, which renews by itself. Take another deployment"}}
	}
	return view.Errors{{Field: "deployment_name", Message: "You have a deployment of this name. Choose it from the list, or take another name"}}
}

// takenSubscription is the value of "taken" for a second subscription.
const takenSubscription = "subscription"

func known(deployments []fulfillment.Deployment, id string) bool {
	return slices.ContainsFunc(deployments, func(d fulfillment.Deployment) bool { return d.ID == id })
}

// configurePage gathers what the form needs whoever fills it in; values are the query of a GET or the fields of a POST.
func (s *server) configurePage(r *http.Request, values url.Values) (view.ConfigurePage, error) {
	bundle, err := s.Catalog.Bundle(r.Context())
	if err != nil {
		return view.ConfigurePage{}, err
	}
	t, err := s.template(r, bundle, chi.URLParam(r, "sku"))
	if err != nil {
		return view.ConfigurePage{}, err
	}
	if !t.SelfService() {
		return view.ConfigurePage{}, errNotFound
	}
	p := view.ConfigurePage{
		Chrome: s.chrome(r, "What "+t.Name+" is for", "packages"), Template: t, OrderID: values.Get("order"), Kind: catalog.IssueNew,
	}
	org := member(r).organization.ID
	base := ""
	switch {
	case values.Get("renew") != "":
		p.Kind, base = catalog.IssueRenewal, values.Get("renew")
	case values.Get("top_up") != "":
		p.Kind, base = catalog.IssueTopUp, values.Get("top_up")
	default:
		p.Deployments, err = s.Licenses.Deployments(r.Context(), org)
		return p, err
	}
	l, err := s.Licenses.License(r.Context(), org, base)
	p.Base = &l
	p.HashedFingerprints = len(l.Payload.Deployment.AllowedInstanceFingerprints)
	return p, err
}

// draft takes the answers. The same form key, sent twice, is one order.
func (s *server) draft(w http.ResponseWriter, r *http.Request) error {
	if err := form(r); err != nil {
		return formError(err)
	}
	if key := r.PostForm.Get("form_key"); len(key) > maxFormKey {
		return badForm{errors.New("form key is too long")}
	}
	p, err := s.configurePage(r, r.PostForm)
	if err != nil {
		return err
	}
	a := member(r)
	p.FormKey = r.PostForm.Get("form_key")
	p.Deployment, p.DeploymentName = r.PostForm.Get("deployment"), strings.TrimSpace(r.PostForm.Get("deployment_name"))
	p.Environments = r.PostForm["environment"]
	p.Fingerprints = filled(r.PostForm["fingerprint"])
	request := fulfillment.DraftRequest{
		OrderID: p.OrderID, FormKey: p.FormKey, OrganizationID: a.organization.ID, UserID: a.user.ID, BuyerEmail: a.user.Email,
		Kind: p.Kind, SKU: p.Template.SKU, Environments: p.Environments, Fingerprints: p.Fingerprints,
	}
	switch {
	case p.Base != nil:
		request.BaseLicenseID, request.DeploymentID = p.Base.ID, p.Base.DeploymentID
		request.Environments = p.Base.Payload.Deployment.AllowedEnvironments
	case p.Deployment == newDeployment:
		request.DeploymentName = p.DeploymentName
	default:
		request.DeploymentID = p.Deployment
	}
	if p.Errors = p.Check(); len(p.Errors) == 0 {
		o, err := s.Orders.Draft(r.Context(), request)
		if err == nil {
			return see(w, r, "/checkout/review?order="+url.QueryEscape(o.ID))
		}
		if p.Errors, err = draftErrors(err, p.OrderID); err != nil {
			return err
		}
	}
	return s.render(w, r, http.StatusUnprocessableEntity, view.Configure(p))
}

func filled(values []string) []string {
	var list []string
	for _, v := range values {
		if v = strings.TrimSpace(v); v != "" {
			list = append(list, v)
		}
	}
	return list
}

// draftErrors turns what the services refuse into messages at the fields; other errors come back as they are.
func draftErrors(err error, orderID string) (view.Errors, error) {
	var invalid *fulfillment.ValidationError
	switch {
	case errors.As(err, &invalid):
		var list view.Errors
		for _, f := range invalid.Fields {
			list = append(list, view.FieldError{Field: view.FormField(f.Field), Message: strings.TrimSuffix(f.Message, ".")})
		}
		return list, nil
	case errors.Is(err, fulfillment.ErrOpenRenewal):
		return view.Errors{{Field: "form", Message: "Another renewal of this license is open. Pay or cancel it under Orders first"}}, nil
	case errors.Is(err, fulfillment.ErrFrozen):
		return view.Errors{{Field: "form", Message: "Order " + orderID + " went to payment and can no longer be changed. Cancel it under Orders, then start again"}}, nil
	case errors.Is(err, fulfillment.ErrTemplateGone):
		return nil, &goneError{title: "This package is no longer sold", todo: "Look at the packages that are sold now."}
	case errors.Is(err, catalog.ErrRefused), errors.Is(err, catalog.ErrBaseExpired):
		_, why, _ := strings.Cut(err.Error(), ": ")
		return view.Errors{{Field: "form", Message: strings.ToUpper(why[:min(1, len(why))]) + why[min(1, len(why)):]}}, nil
	}
	return nil, err
}

// review shows every answer once more, with the price and what the license will contain.
func (s *server) review(w http.ResponseWriter, r *http.Request) error {
	o, err := s.Orders.Order(r.Context(), member(r).organization.ID, r.URL.Query().Get("order"))
	if err != nil {
		return err
	}
	if o.State != fulfillment.StateDraft {
		return see(w, r, "/orders/"+o.ID)
	}
	p, err := s.reviewPage(r, o)
	if err != nil {
		return err
	}
	if was, err := strconv.ParseInt(r.URL.Query().Get("was"), 10, 64); err == nil && was != o.Snapshot.Total {
		p.PriceWas, p.PriceChanged = was, true
	}
	return s.render(w, r, http.StatusOK, view.Review(p))
}

func (s *server) reviewPage(r *http.Request, o fulfillment.Order) (view.ReviewPage, error) {
	p := view.ReviewPage{Chrome: s.chrome(r, "Check your order, "+view.Middle(o.ID), "packages"), Order: o}
	preview, err := s.Previewer.Preview(r.Context(), o)
	switch {
	case errors.Is(err, catalog.ErrRefused), errors.Is(err, catalog.ErrBaseExpired), errors.Is(err, catalog.ErrBaseMismatch):
		_, p.Refused, _ = strings.Cut(err.Error(), ": ")
		return p, nil
	case err != nil:
		return p, err
	}
	p.Preview = preview.Payload
	if base := o.Snapshot.Intent.BaseID; base != "" {
		l, err := s.Licenses.License(r.Context(), o.OrganizationID, base)
		if err != nil {
			return p, err
		}
		p.Base = &l
		p.Changed, _ = view.Diff(l.Payload, preview.Payload)
	}
	p.ChangeURL = changeURL(o)
	return p, nil
}

// changeURL is the form with the order's answers kept.
func changeURL(o fulfillment.Order) string {
	q := url.Values{"order": {o.ID}}
	switch o.Snapshot.Intent.Kind {
	case catalog.IssueRenewal:
		q.Set("renew", o.Snapshot.Intent.BaseID)
	case catalog.IssueTopUp:
		q.Set("top_up", o.Snapshot.Intent.BaseID)
	}
	return withQuery("/checkout/"+o.Snapshot.Template.SKU, q)
}

// pay sends the browser to the hosted checkout. It serves the review page, a payment that was left and one that failed.
func (s *server) pay(w http.ResponseWriter, r *http.Request) error {
	if err := form(r); err != nil {
		return formError(err)
	}
	org := member(r).organization.ID
	o, err := s.Orders.Order(r.Context(), org, chi.URLParam(r, "order"))
	if err != nil {
		return err
	}
	if seen := r.PostForm.Get("total"); o.State == fulfillment.StateDraft && seen != strconv.FormatInt(o.Snapshot.Total, 10) {
		return see(w, r, withQuery("/checkout/review", url.Values{"order": {o.ID}, "was": {seen}}))
	}
	target, err := s.Orders.Checkout(r.Context(), org, o.ID)
	var invalid *fulfillment.ValidationError
	switch {
	case errors.Is(err, fulfillment.ErrPriceChanged):
		return s.redraft(w, r, o)
	case errors.As(err, &invalid): // the deployment's name was taken meanwhile
		return see(w, r, changeURL(o)+"&taken=1")
	case errors.Is(err, fulfillment.ErrSubscribed):
		if o.State != fulfillment.StateDraft {
			return see(w, r, "/orders/"+o.ID)
		}
		return see(w, r, changeURL(o)+"&taken="+takenSubscription)
	case errors.Is(err, fulfillment.ErrNotPayable):
		return see(w, r, "/orders/"+o.ID) // paid already, or on its way: its page says so
	case errors.Is(err, fulfillment.ErrTemplateGone):
		return &goneError{title: "This package is no longer sold", todo: "Look at the packages that are sold now."}
	case err != nil:
		return err
	}
	return see(w, r, target)
}

// redraft takes the new price into the draft and shows both.
func (s *server) redraft(w http.ResponseWriter, r *http.Request, o fulfillment.Order) error {
	deployments, err := s.Licenses.Deployments(r.Context(), o.OrganizationID)
	if err != nil {
		return err
	}
	request := draftOf(r.Context(), o)
	if o.Snapshot.Intent.BaseID == "" && !known(deployments, o.DeploymentID) {
		request.DeploymentID, request.DeploymentName = "", o.DeploymentName
	}
	changed, err := s.Orders.Draft(r.Context(), request)
	if err != nil {
		return err
	}
	was := strconv.FormatInt(o.Snapshot.Total, 10)
	return see(w, r, withQuery("/checkout/review", url.Values{"order": {changed.ID}, "was": {was}}))
}

func draftOf(ctx context.Context, o fulfillment.Order) fulfillment.DraftRequest {
	a, _ := actorOf(ctx)
	i := o.Snapshot.Intent
	return fulfillment.DraftRequest{
		OrderID: o.ID, OrganizationID: o.OrganizationID, UserID: a.user.ID, BuyerEmail: a.user.Email, Kind: i.Kind,
		SKU: o.Snapshot.Template.SKU, DeploymentID: o.DeploymentID, Environments: i.Environments, Fingerprints: i.Fingerprints,
		BaseLicenseID: i.BaseID,
	}
}
