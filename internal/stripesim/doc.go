// Package stripesim is a stateful stand-in for Stripe, for the demo and for
// tests. It is never linked into the portal.
//
// It answers the part of Stripe's API (version 2023-10-16) that the portal
// uses, serves hosted pages that a browser can use without JavaScript, and
// delivers signed webhooks. No money moves, and every page
// says so. It refuses what it does not know: an unknown parameter is
// parameter_unknown, and a parameter that Stripe knows and the stand-in does
// not act on is stripesim_unsupported, so that nothing is ignored silently.
//
// # What it promises
//
//   - State survives a restart: every answer that changed something was
//     written to Config.Dir in one transaction first.
//   - An idempotency key replays the first answer for a day; the same key with
//     other parameters is an idempotency_error.
//   - Webhooks are signed as Stripe signs them (t and v1 of Stripe-Signature),
//     sent to every enabled endpoint that subscribed to the type, and sent
//     again with back-off (1 s doubling to 1 min) for 3 days.
//
// # Time
//
// Objects, expiry, settling, billing and back-off run on the stand-in's clock:
// Config.Clock plus what POST /_sim/clock added. Signature timestamps are
// Config.Clock alone, so that a receiver with an honest clock accepts them.
// What falls due while the clock jumps happens one after another, each at its
// own time: twelve months at once make twelve invoices a month apart.
//
// A renewal's invoice is a draft for an hour. A card that fails is tried again
// after 3, 5 and 7 days; then the subscription ends. A subscription that was not
// paid for within 23 hours expires.
//
// # Control API
//
// JSON in, JSON out, no authentication; for tests and curious users. Errors
// are {"error":{"code","message"}}. An unknown field is an error.
//
//	GET  /_sim/delivery               the delivery settings
//	POST /_sim/delivery               {duplicates, duplicate, hold, drop, reorder, seed, delay_ms}: all of them anew; {} is normal
//	POST /_sim/chaos                  {seed}: duplicates, drops and disorder by a seed, until /_sim/delivery is set again
//	POST /_sim/release                {order: created|reverse|shuffle, seed}: let go what was held, one after another
//	GET  /_sim/events                 ?type=&object=: events, newest first, with their deliveries
//	GET  /_sim/events/{id}            one event: its body and its deliveries
//	POST /_sim/events/{id}            {patch}: change the envelope (livemode, api_version, account, created, type)
//	POST /_sim/events/{id}/deliver    {copies, endpoint}: send again now, copies at once, whatever the settings
//	GET  /_sim/sessions               Checkout Sessions, newest first
//	GET  /_sim/sessions/{id}          one session with its line items
//	POST /_sim/sessions/{id}          {patch, target: object|event|both}: make object and events differ
//	POST /_sim/sessions/{id}/pay      {method, email, delivery}: what the page's buttons do
//	POST /_sim/sessions/{id}/settle   {succeed, delivery}: settle or fail a bank debit now
//	GET  /_sim/objects                ?kind=: the newest objects of a kind (charge, invoice, …) and what can be done to them
//	GET  /_sim/objects/{id}           one object
//	POST /_sim/objects/{id}           {patch, target}: make object and events differ, for any stored object
//	POST /_sim/objects/{id}/{action}  {amount, reason, method, cycles, delivery}: see below
//	GET  /_sim/clock                  {now, advanced_seconds}
//	POST /_sim/clock                  {advance_seconds}: move the stand-in's clock forward
//
// Payment methods, here and as the pages' button[name=method] values: card_ok,
// card_declined, card_fails_later (works with the customer present, fails at
// renewals), card_needs_confirmation (renewals wait for the customer), bank_ok,
// bank_fails, and confirm where nothing is to be paid.
//
// Actions answer the object that came of them, or the one that they changed. An
// action on a charge is also found under the Checkout Session, payment intent,
// invoice or subscription that the charge paid.
//
//	charge            refund {amount, reason}, dispute {reason}, inquiry {reason}, fraud_warning {reason}, review
//	refund            succeed, fail {reason}
//	dispute           answer, escalate (an inquiry), win (closes an inquiry), lose
//	review            close {reason}
//	payment_intent    settle, bounce: end a bank debit now
//	invoice           finalize, pay {method}, transfer {amount}, collect, out_of_band, void, mark_uncollectible
//	subscription      bill {cycles}: the next periods now, without moving the clock; use {method}, pause, resume, cancel
//	webhook_endpoint  disable, enable
//
// # Adding to it
//
// An API call is one line in the routes of [Server]: method, path, the schema
// of its parameters and a function over a transaction. Objects are JSON
// documents kept by kind; what only the stand-in knows lies in a record's
// Private part. Emit makes an event and its deliveries in the transaction that
// changed the object.
package stripesim
