// Package view renders the portal's pages. A page is a struct of what it shows and a templ component of the same name;
// it reads nothing and decides nothing but wording and form. Every time has a zone, every amount a currency, every status
// a word beside its icon.
package view
