package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"os"
	"strings"
)

// readSecret returns the file's text without the line break that editors put at its end.
func readSecret(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(data), "\r\n")
	if secret == "" {
		return "", errors.New(path + " is empty")
	}
	return secret, nil
}

// credentials are what callers must show.
type credentials struct {
	adminUser, adminPassword, token string
}

func (c credentials) admin(r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	// Both are compared, so that the time taken does not tell which was wrong.
	return same(user, c.adminUser)&same(password, c.adminPassword) == 1 && ok
}

func (c credentials) caller(r *http.Request) bool {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return same(token, c.token) == 1 && ok && strings.EqualFold(scheme, "Bearer")
}

// same compares digests, so that the time taken does not tell the length either.
func same(got, want string) int {
	g, w := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(g[:], w[:])
}
