// Command preview serves the pages with the data of package fake, to look at them: every page, without database, signer or
// Stripe.
//
//	go run ./web/internal/preview -addr localhost:8099
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"time"

	"github.com/alexedwards/scs/v2/memstore"

	"github.com/metrum-ai/licensing-portal/web"
	"github.com/metrum-ai/licensing-portal/web/internal/fake"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "preview:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("preview", flag.ContinueOnError)
	addr := flags.String("addr", "localhost:8099", "where to listen")
	if err := flags.Parse(args); err != nil {
		return err
	}
	services := fake.New(fake.Now)
	h, err := web.New(web.Config{
		PublicURL: &url.URL{Scheme: "http", Host: *addr}, Accounts: fake.Accounts{Services: services}, Catalog: services, Orders: services, Quotes: fake.Quotes{Services: services},
		Previewer: services, Subscriptions: fake.Subscriptions{Services: services}, Licenses: fake.Licenses{Services: services}, Links: fake.Links{Services: services}, Inbox: services, Revocations: fake.Revocations{Services: services},
		Health: services, Enrollment: fake.Enrollment{Services: services}, Requests: fake.Requests{Services: services}, SessionStore: memstore.New(), BillingOrigin: "https://billing.stripe.example", CheckoutOrigin: "https://checkout.stripe.example",
		Contact: "licensing@metrum.example", Clock: fake.Now,
	})
	if err != nil {
		return err
	}
	server := &http.Server{Addr: *addr, Handler: h, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	fmt.Fprintf(stdout, "open http://%s and sign in as owner@halden.example with code %s\n", *addr, fake.Code)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
