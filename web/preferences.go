package web

import (
	"net/http"

	"github.com/metrum-ai/licensing-portal/web/view"
)

// themeCookie holds nothing but "light" or "dark".
const themeCookie = "theme"

// themeOf is the theme that the browser chose; "" follows the system.
func themeOf(r *http.Request) string {
	c, err := r.Cookie(themeCookie)
	if err != nil || (c.Value != "light" && c.Value != "dark") {
		return ""
	}
	return c.Value
}

func (s *server) preferences(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, r, http.StatusOK, view.Preferences(view.PreferencesPage{Chrome: s.chrome(r, "Preferences", "preferences")}))
}

func (s *server) setTheme(w http.ResponseWriter, r *http.Request) error {
	if err := form(r); err != nil {
		return formError(err)
	}
	c := &http.Cookie{
		Name: themeCookie, Value: r.PostForm.Get("theme"), Path: "/", MaxAge: 365 * 24 * 3600,
		Secure: s.secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if c.Value != "light" && c.Value != "dark" {
		c.Value, c.MaxAge = "", -1
	}
	http.SetCookie(w, c)
	return see(w, r, localPath(r.PostForm.Get("return_to")))
}
