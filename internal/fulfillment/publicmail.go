package fulfillment

import "strings"

// publicMailDomains are domains where anyone gets an address, so that the domain says nothing about the customer. The list
// is short on purpose: it holds the ones in wide use, and a miss costs one evaluation.
const publicMailDomains = `
126.com 163.com aol.com fastmail.com gmail.com gmx.at gmx.com gmx.de gmx.net googlemail.com hey.com hotmail.co.uk
hotmail.com hotmail.de hotmail.fr icloud.com laposte.net libero.it live.com live.de mac.com mail.com mail.ru mailbox.org
me.com msn.com naver.com orange.fr outlook.com outlook.de pm.me posteo.de proton.me protonmail.com qq.com rambler.ru
rediffmail.com seznam.cz t-online.de tutanota.com web.de wp.pl yahoo.co.jp yahoo.co.uk yahoo.com yahoo.de yahoo.fr
yandex.com yandex.ru ymail.com zoho.com`

// PublicMailDomain reports whether anyone can get an address at domain, which is in lower case.
func PublicMailDomain(domain string) bool {
	for _, d := range strings.Fields(publicMailDomains) {
		if d == domain {
			return true
		}
	}
	return false
}

// mailDomain returns the domain of an address in lower case.
func mailDomain(address string) string {
	_, domain, _ := strings.Cut(strings.ToLower(address), "@")
	return domain
}
