package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"

	"github.com/metrum-ai/licensing-portal/internal/mailcatcher"
)

// mail is the catcher with its SMTP port, which is another at each start.
type mail struct {
	catcher *mailcatcher.Catcher
	web     *webServer
	smtpURL string
	wait    sync.WaitGroup
}

func startMail(listeners []net.Listener, dir string, log *slog.Logger) (*mail, error) {
	catcher, err := mailcatcher.New(mailcatcher.Config{Dir: filepath.Join(dir, mailDir), Logger: log})
	if err != nil {
		return nil, err
	}
	smtp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("mail catcher: %w", err)
	}
	m := &mail{catcher: catcher, web: serveWeb(listeners, catcher.Handler(), log), smtpURL: "smtp://" + smtp.Addr().String()}
	m.wait.Go(func() {
		if err := catcher.ServeSMTP(smtp); err != nil {
			log.Error("mail is not caught any more", "error", err)
		}
	})
	return m, nil
}

func (m *mail) close(ctx context.Context) {
	m.web.close(ctx)
	m.catcher.Close()
	m.wait.Wait()
}
