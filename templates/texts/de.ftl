### de.ftl owns every text of the pages and mails, in German.
###
### The user is addressed by "Sie"; the words are: anmelden and Anmeldung (sign in, sign-in), Anmeldedienst (sign-in service),
### abmelden (sign out), Konto (account), Benutzername (user name), Passwort (password), zweiter Faktor (second factor),
### Authenticator-App (authenticator, authenticator app), Passkey (passkey), Sicherheitsschlüssel (security key),
### Wiederherstellungscode (recovery code), Einmal-Link (one-time link), Dienst (service), Zugriff (what a service is allowed),
### bestätigen (verify, confirm), die Administration (an administrator), das Team, das Ihr Konto betreut (those who run this sign-in,
### the people who look after your account), and in Ihrer Abwesenheit (while you are away).

## The frame of every page

brand = Hallpass
footer = Anmeldedienst Hallpass
footer-of = Anmeldedienst von { $organization }
footer-help = Hilfe
footer-privacy = Datenschutz
footer-imprint = Impressum

## Who is signed in, on several pages

signed-in-as = Angemeldet als { $user }
another-account = Nicht Sie? Anderes Konto nutzen

## The start page

home-signed-in = Sie sind angemeldet
home-signed-out = Sie sind nicht angemeldet
home-lede = Melden Sie sich hier an oder öffnen Sie den gewünschten Dienst.
home-services = Dienste, die Sie öffnen können
home-account = Ihr Konto
home-everywhere = Überall abmelden
home-everywhere-means = Überall heißt: in allen Browsern und auf allen Geräten, wo Sie mit diesem Konto angemeldet sind. Apps mit Zugriff in Ihrer Abwesenheit bleiben verbunden.

## Signing in

login-heading = Anmelden für { $client }
login-heading-home = Anmelden
login-confirm = Bitte bestätigen Sie, dass Sie es sind, { $user }.
login-continue-as = Weiter als { $user }
login-another-account = oder mit einem anderen Konto
login-username = Benutzername oder E-Mail
login-password = Passwort
login-remember = Angemeldet bleiben
# Beside the password: what is seen, and what it is called.
login-show = Zeigen
login-show-password = Passwort zeigen
login-hide = Verbergen
login-hide-password = Passwort verbergen
login-sign-in = Anmelden
login-forgotten = Passwort vergessen?
login-passkey = Mit Passkey anmelden
login-cancel = Abbrechen
# $host is ours, as the address bar shows it.
login-password-stays = Ihr Passwort bleibt bei { $host }. { $client } erfährt es nie.
login-password-here = Ihr Passwort bleibt bei { $host }.
# Told to who has proven the password, and to no other.
login-locked = Ihr Konto ist gesperrt. Das Team, das es betreut, kann es entsperren.
login-disabled = Ihr Konto ist deaktiviert. Das Team, das es betreut, kann es aktivieren.
login-factor-overdue = Ihrem Konto fehlt ein zweiter Faktor, und die Frist dafür ist vorbei. Bitten Sie das Team, das es betreut, um einen Link.
login-factor-link-mailed = Ihrem Konto fehlt ein zweiter Faktor, und die Frist dafür ist vorbei. Ein Link dafür ist an Ihre E-Mail-Adresse unterwegs.
# The same for an unknown user and for a wrong password.
login-wrong = Benutzername und Passwort passen nicht zusammen. Bitte versuchen Sie es erneut.
# $time is a time of day, such as 14:32 UTC.
login-wait =
    { $minutes ->
        [one] Zu viele Fehlversuche. Bitte versuchen Sie es in { $minutes } Minute wieder, ab { $time }.
       *[other] Zu viele Fehlversuche. Bitte versuchen Sie es in { $minutes } Minuten wieder, ab { $time }.
    }

## Consent

consent-heading = { $client } Zugriff auf Ihr Konto erlauben?
# Beside what is asked for now and was not allowed before.
consent-new = Neu
consent-allowed-before = Was nicht als neu markiert ist, haben Sie schon einmal erlaubt.
consent-asks = Anfrage von { $client }
consent-asks-nothing = Für { $client } genügt es zu wissen, dass Sie sich angemeldet haben.
consent-allow = Erlauben
consent-deny = Ablehnen
consent-return = In beiden Fällen geht es zurück zu { $host }.
# An app on the user's own machine: browsers stay on this page when it takes over.
consent-return-app = In beiden Fällen geht es zurück zur App. Dann können Sie diese Seite schließen.
consent-back-to-app = Hat sich die App geöffnet, können Sie dort weitermachen und diese Seite schließen.
consent-about = Über { $client }
consent-new-tab = (neuer Tab)
consent-website = Website
consent-privacy-policy = Datenschutzerklärung
consent-terms = Bedingungen

## What a client may ask for. A scope that is not here is one of a service's own, and has its token as its title.

scope-profile = Ihr Profil
    .description = Ihr Name und andere Angaben aus Ihrem Profil, etwa Bild, Website und Sprache.
scope-email = Ihre E-Mail-Adresse
    .description = Ihre E-Mail-Adresse und ob sie bestätigt ist.
scope-address = Ihre Anschrift
    .description = Die Anschrift in Ihrem Profil.
scope-phone = Ihre Telefonnummer
    .description = Ihre Telefonnummer und ob sie bestätigt ist.
scope-groups = Ihre Gruppen
    .description = Die Gruppen, in denen Sie sind. Danach entscheiden Dienste, was Sie dürfen.
scope-offline-access = Zugriff in Ihrer Abwesenheit
    .description = Bleibt mit Ihrem Konto verbunden, auch wenn Sie es nicht nutzen, bis Sie oder die Administration das beenden.
# What a service is told whatever it asks for, as its operator set it up.
scope-beyond = Was Ihre Organisation diesem Dienst mitteilt
    .description = Angaben, aus denen dieser Dienst erkennt, was Sie dort dürfen.
scope-of-a-service = Eine Berechtigung, die dieser Dienst selbst festlegt.

## What of a user's profile is sent: the name of each before its value.

claim-name = Name
claim-family-name = Nachname
claim-given-name = Vorname
claim-middle-name = Zweiter Vorname
claim-nickname = Spitzname
claim-preferred-username = Benutzername
claim-profile = Profilseite
claim-picture = Bild
claim-website = Website
claim-gender = Geschlecht
claim-birthdate = Geburtsdatum
claim-zoneinfo = Zeitzone
claim-locale = Sprache
claim-email = Adresse
claim-address = Anschrift
claim-phone-number = Nummer
claim-groups = Gruppen
claim-none = keine

## A service that the user may not enter

no-entry-heading = Sie können { $client } nicht öffnen
no-entry-message = Zu { $client } haben nur bestimmte Gruppen Zugang, und Ihr Konto ist in keiner davon.
no-entry-help = Wenn Sie Zugang brauchen, fragen Sie das Team, das Ihr Konto betreut.
no-entry-ask = Um Zugang bitten
no-entry-back = Zurück zu { $client }

## The account: the links of its pages

account-nav = Ihr Konto
account-nav-account = Übersicht
account-nav-password = Passwort
account-nav-second-factor = Zweiter Faktor
account-nav-passkeys = Passkeys
account-nav-sessions = Anmeldungen
account-nav-services = Dienste
account-nav-events = Aktivität
account-nav-data = Ihre Daten
account-nav-home = Startseite

## The account: who the user is

account-heading = Ihr Konto
account-name = Name
account-username = Benutzername
account-email = E-Mail
account-verified = (bestätigt)
account-not-verified = (nicht bestätigt)
account-groups = Gruppen
account-told = Was Dienste erfahren
account-told-means = Ein Dienst erfährt davon nur, was Sie ihm erlaubt haben oder was Ihre Organisation für ihn festgelegt hat. Wenn hier etwas nicht stimmt, fragen Sie das Team, das Ihr Konto betreut.
account-sub = Ihr Konto hat die Nummer { $sub }. Sie ändert sich nie, und Dienste erkennen Sie an ihr oder an einer, die daraus gebildet ist.

## The account: the password

password-heading = Passwort ändern
password-lede = Danach sind Sie in allen anderen Browsern und auf allen anderen Geräten abgemeldet. Apps mit Zugriff in Ihrer Abwesenheit müssen sich neu verbinden.
password-none = Ihr Konto hat kein Passwort, also gibt es keines zu ändern. Wenn Sie eines brauchen, fragen Sie das Team, das Ihr Konto betreut.
password-old = Aktuelles Passwort
password-new = Neues Passwort
password-repeated = Passwort wiederholen
password-rule = Mindestens 10 Zeichen. Vier Wörter ohne Zusammenhang sind leicht zu merken und schwer zu erraten.
password-change = Passwort ändern
password-check = Nur prüfen
password-check-means = Die Prüfung zeigt, wie stark das neue Passwort ist, und speichert nichts.
password-changed = Ihr Passwort ist geändert. In allen anderen Browsern und auf allen anderen Geräten sind Sie in wenigen Sekunden abgemeldet.
password-wrong = Das ist nicht Ihr aktuelles Passwort. Es wurde nichts geändert.
password-missing = Bitte geben Sie Ihr aktuelles Passwort und zweimal das neue ein. Es wurde nichts geändert.
password-differs = Die beiden neuen Passwörter sind nicht gleich. Es wurde nichts geändert.
password-same = Das neue Passwort ist dasselbe wie das aktuelle. Es wurde nichts geändert.
password-short = Das neue Passwort ist zu kurz: Es braucht mindestens 10 Zeichen. Es wurde nichts geändert.
password-common = Das neue Passwort gehört zu denen, die zuerst ausprobiert werden. Bitte wählen Sie ein anderes. Es wurde nichts geändert.
password-personal = Das neue Passwort ist Ihr Name oder der dieses Dienstes. Bitte wählen Sie ein anderes. Es wurde nichts geändert.
password-odd = Das neue Passwort enthält ein unzulässiges Zeichen oder ist zu lang. Es wurde nichts geändert.
password-elsewhere = Ihr Passwort wurde gerade an anderer Stelle geändert, deshalb wurde hier nichts geändert.
# How long it would take to guess a password, for those who stole what it is checked against.
strength-at-once = Diebe unserer Passwortdatenbank fänden dieses Passwort sofort.
strength-minutes =
    { $number ->
        [one] Diebe unserer Passwortdatenbank bräuchten dafür etwa { $number } Minute.
       *[other] Diebe unserer Passwortdatenbank bräuchten dafür etwa { $number } Minuten.
    }
strength-hours =
    { $number ->
        [one] Diebe unserer Passwortdatenbank bräuchten dafür etwa { $number } Stunde.
       *[other] Diebe unserer Passwortdatenbank bräuchten dafür etwa { $number } Stunden.
    }
strength-days =
    { $number ->
        [one] Diebe unserer Passwortdatenbank bräuchten dafür etwa { $number } Tag.
       *[other] Diebe unserer Passwortdatenbank bräuchten dafür etwa { $number } Tage.
    }
strength-months =
    { $number ->
        [one] Diebe unserer Passwortdatenbank bräuchten dafür etwa { $number } Monat.
       *[other] Diebe unserer Passwortdatenbank bräuchten dafür etwa { $number } Monate.
    }
strength-years =
    { $number ->
        [one] Diebe unserer Passwortdatenbank bräuchten dafür etwa { $number } Jahr.
       *[other] Diebe unserer Passwortdatenbank bräuchten dafür etwa { $number } Jahre.
    }
strength-centuries = Diebe unserer Passwortdatenbank bräuchten dafür Jahrhunderte.
strength-advice = Ein längeres ist besser: Nehmen Sie ein, zwei Wörter dazu.
strength-good = Das ist ein gutes Passwort.

## The account: the second factor

factors-heading = Zweiter Faktor
factors-lede = Mit einem zweiten Faktor reicht Ihr Passwort allein nicht mehr: Dazu kommt ein Code, den eine App auf Ihrem Handy zeigt, oder ein Passkey.
factors-is-demanded = Ihre Organisation verlangt einen zweiten Faktor.
factors-authenticators = Authenticator-Apps
factors-none = Sie haben keine. Jede App für Einmalcodes genügt; viele Passwortmanager können das auch.
factors-unnamed = Authenticator-App
factors-remove = Entfernen
factors-add = App hinzufügen
factors-added = Ihre Authenticator-App ist hinzugefügt. Ab jetzt brauchen Sie beim Anmelden auch einen Code daraus.
factors-authenticator-added = Ihre Authenticator-App ist hinzugefügt.
factors-removed = Die App ist hier entfernt.
factors-gone = Das war schon nicht mehr da.
factors-too-many =
    { $most ->
        [one] Sie können nur { $most } Authenticator-App haben. Entfernen Sie sie zuerst.
       *[other] Sie können nur { $most } Authenticator-Apps haben. Entfernen Sie zuerst eine.
    }
factors-expired = Das hat länger als zehn Minuten gedauert oder ist schon erledigt. Bitte beginnen Sie von vorn.
factors-demanded = Ihre Organisation verlangt einen zweiten Faktor, und dies ist Ihr letzter. Fügen Sie zuerst einen anderen hinzu.
factors-unavailable = Zurzeit kann kein zweiter Faktor hinzugefügt werden. Bitte informieren Sie das Team, das Ihr Konto betreut.
factors-codes = Wiederherstellungscodes
factors-codes-left =
    { $left ->
        [one] Sie haben noch { $left } Wiederherstellungscode.
       *[other] Sie haben noch { $left } Wiederherstellungscodes.
    }
factors-codes-none = Sie haben keine Wiederherstellungscodes.
factors-codes-means = Jeder ersetzt Ihren zweiten Faktor einmal, etwa wenn Ihr Handy weg ist. Neue ersetzen die alten.
factors-codes-make = Codes erstellen
factors-codes-again = Neue Codes erstellen
factors-codes-made = Ihre neuen Wiederherstellungscodes sind da. Die alten gelten nicht mehr.
authenticator-heading = Authenticator-App hinzufügen
authenticator-scan = Scannen Sie dieses Bild mit Ihrer Authenticator-App.
authenticator-picture = Das Bild für Ihre Authenticator-App. Wenn Sie es nicht mit einer Kamera scannen können, nutzen Sie den Link oder den Text darunter.
authenticator-open = In einer App auf diesem Gerät öffnen
authenticator-type = Oder eintippen
authenticator-code-means = Geben Sie den Code ein, den die App zeigt.
authenticator-code = Code
authenticator-name = Name, etwa Mein Handy (optional)
authenticator-add = Hinzufügen
authenticator-wrong = Das ist nicht der Code, den die App jetzt zeigt. Geben Sie den nächsten ein. Stimmt er nie, prüfen Sie die Uhr Ihres Handys.
codes-heading = Ihre Wiederherstellungscodes
codes-means = Bewahren Sie sie dort auf, wo Sie sie ohne Ihr Handy finden: auf einem Zettel in der Schublade oder in einem Passwortmanager. Jeder gilt einmal, anstelle Ihres zweiten Faktors.
codes-once = Sie werden hier einmal gezeigt und dann nie wieder.
codes-kept = Ich habe sie gesichert

## The account: passkeys

passkeys-heading = Passkeys
passkeys-lede = Mit einem Passkey melden Sie sich ohne Passwort an: Sie entsperren nur Ihr Handy, Ihren Computer oder einen Sicherheitsschlüssel.
passkeys-none = Sie haben keine.
passkeys-unnamed = Passkey
passkeys-synced = Er kann auf mehreren Ihrer Geräte sein.
passkeys-bound = Er bleibt auf dem Gerät, auf dem er erstellt wurde.
passkeys-elsewhere = Er gilt für eine andere Adresse dieses Anmeldedienstes und kann hier nicht genutzt werden.
passkeys-held-back = Seit Sie ihn zuletzt genutzt haben, hat sich Ihr Passwort geändert. Bestätigen Sie mit ihm einmal eine Anmeldung mit dem neuen Passwort, dann gilt er wieder. Gehört er nicht Ihnen, entfernen Sie ihn.
passkeys-first = Er ist auch ein zweiter Faktor: Mit dem Passwort allein können Sie sich dann nicht mehr anmelden.
passkeys-needs = Zum Hinzufügen brauchen Sie einen Browser, der Passkeys kennt und Skripte ausführt.
passkeys-not-here = An dieser Adresse können Passkeys nicht genutzt werden.
passkeys-name = Name (darf leer bleiben)
passkeys-add = Passkey hinzufügen
passkeys-added = Ihr Passkey ist hinzugefügt.
passkeys-added-first = Ihr Passkey ist hinzugefügt. Wenn Sie sich mit Ihrem Passwort anmelden, brauchen Sie ihn auch.
passkeys-removed = Der Passkey ist hier entfernt. Entfernen Sie ihn auch von Ihrem Gerät.
passkeys-too-many =
    { $most ->
        [one] Sie können nur { $most } Passkey haben. Entfernen Sie ihn zuerst.
       *[other] Sie können nur { $most } Passkeys haben. Entfernen Sie zuerst einen.
    }
passkeys-full = Mehr Passkeys können Sie nicht haben. Entfernen Sie zuerst einen.
passkeys-held = Dieses Gerät hat schon einen Passkey für Ihr Konto.
passkeys-not-kept = Dieser Sicherheitsschlüssel hat den Passkey nicht gespeichert, sodass keine Anmeldung ihn fände. Nutzen Sie einen anderen.
passkeys-invalid = Dieser Passkey kann nicht hinzugefügt werden. Bitte versuchen Sie es erneut, vielleicht mit einem anderen Gerät.
passkeys-outdated = Diese Seite war zu alt oder wurde schon verwendet. Bitte versuchen Sie es erneut.

## A passkey at a sign-in

passkey-late = Diese Seite war zu lange offen. Laden Sie sie neu, um einen Passkey hinzuzufügen.
passkey-failed = Das ging nicht oder wurde abgebrochen. Sie können es erneut versuchen.
passkey-unknown = Dieser Passkey ist hier nicht mehr bekannt. Melden Sie sich mit Ihrem Passwort an und entfernen Sie ihn von Ihrem Gerät.
passkey-unverified = Ihr Gerät hat nicht geprüft, ob Sie es sind. Richten Sie dort PIN, Fingerabdruck oder Gesichtserkennung ein und versuchen Sie es erneut.
passkey-cloned = Dieser Passkey wurde abgelehnt: Vielleicht gibt es eine Kopie davon. Melden Sie sich mit Passwort und Wiederherstellungscode an und entfernen Sie den Passkey auf Ihrer Kontoseite.
passkey-held-back = Seit Sie diesen Passkey zuletzt genutzt haben, hat sich Ihr Passwort geändert. Melden Sie sich einmal mit dem Passwort an und bestätigen Sie das mit dem Passkey.
passkey-invalid = Dieser Passkey konnte nicht geprüft werden. Bitte versuchen Sie es erneut.
passkey-offer-heading = Ohne Passwort anmelden?
passkey-offer-message = Dieses Gerät kann einen Passkey für Sie speichern. Nächstes Mal entsperren Sie nur das Gerät und sind angemeldet.
passkey-offer-later = Jetzt nicht
passkey-offer-means = Sie werden nicht wieder gefragt. Auf Ihrer Kontoseite können Sie jederzeit einen hinzufügen.
passkey-offer-late = Das geht hier nicht mehr. Machen Sie weiter und fügen Sie einen Passkey auf Ihrer Kontoseite hinzu.

## The account: where the user is signed in

sessions-heading = Wo Sie angemeldet sind
# $browser and $system are names, such as Firefox and Linux.
browser = { $browser }
browser-on = { $browser } unter { $system }
browser-another = ein anderer Browser
browser-another-on = ein anderer Browser unter { $system }
sessions-here = dieser Browser
sessions-network = Netzwerk
sessions-since = Seit
sessions-used = Zuletzt
sessions-end = Dort abmelden
sessions-end-others = Überall sonst abmelden
sessions-more =
    { $number ->
        [one] Es gibt { $number } weitere Anmeldung, die länger nicht genutzt wurde.
       *[other] Es gibt { $number } weitere Anmeldungen, die länger nicht genutzt wurden.
    }
sessions-means = Die letzte Nutzung ist auf eine Stunde genau bekannt. Das Abmelden dauert ein paar Sekunden, und die genutzten Dienste erfahren davon. Wenn Sie etwas hier nicht kennen, melden Sie sich dort ab und ändern Sie Ihr Passwort.
sessions-ended = Sie sind dort in wenigen Sekunden abgemeldet.
sessions-over = Diese Anmeldung war schon beendet.
sessions-others-ended = Sie sind überall sonst in wenigen Sekunden abgemeldet.
trust-heading = Vertraute Browser
trust-here = Sie vertrauen diesem Browser: Eine einfache Anmeldung fragt hier nur nach Ihrem Passwort.
trust-not-here = Sie vertrauen diesem Browser nicht: Jede Anmeldung fragt hier nach Ihrem zweiten Faktor.
trust-until = Bis
trust-end = Keinem Browser mehr vertrauen
trust-means = Das gilt für alle Browser, denen Sie vertrauen. Wo Sie angemeldet sind, bleiben Sie angemeldet.
trust-ended = Sie vertrauen keinem Browser mehr. Die nächste Anmeldung fragt überall nach Ihrem zweiten Faktor.

## The account: services

services-heading = Dienste mit Zugriff
services-none = Kein Dienst hat über den Moment der Anmeldung hinaus Zugriff auf Ihr Konto.
services-told = Erfährt
services-connected = Er bleibt in Ihrer Abwesenheit verbunden.
services-of-organization = Ihre Organisation lässt diesen Dienst zu, ohne Sie zu fragen. Wenn Sie sich dort anmelden, ist er wieder verbunden.
services-take-back = Zugriff beenden
services-means = Wenn Sie den Zugriff beenden, muss der Dienst Sie neu fragen. Was er schon weiß, kann er behalten, und vielleicht sind Sie dort noch angemeldet: Melden Sie sich auch beim Dienst ab. Eine kurzzeitige Berechtigung kann noch gelten, bis sie abläuft, meist nach einigen Minuten.
services-taken-back = Der Zugriff ist beendet. Vielleicht sind Sie bei diesem Dienst noch angemeldet: Melden Sie sich auch dort ab.
services-nothing-to-take-back = Dieser Dienst hatte keinen Zugriff mehr.

## The account: what happened

events-heading = Letzte Aktivität
events-lede =
    { $days ->
        [one] Was seit { $days } Tag mit Ihrem Konto passiert ist. Älteres wird nicht angezeigt.
       *[other] Was in den letzten { $days } Tagen mit Ihrem Konto passiert ist. Älteres wird nicht angezeigt.
    }
events-none = In dieser Zeit ist nichts passiert.
events-at = Wann
events-service = Dienst
events-older = Älteres
events-means = Wenn Sie etwas davon nicht kennen, ändern Sie Ihr Passwort und informieren Sie das Team, das Ihr Konto betreut.
event-sign-in = Sie haben sich angemeldet
event-sign-in-trusting = Sie haben sich angemeldet und dem Browser vertraut
event-step-up = Sie haben mit dem zweiten Faktor bestätigt, dass Sie es sind
event-sign-in-failed = Eine Anmeldung mit Ihrem Namen ist gescheitert
event-passkey-failed = Eine Anmeldung mit einem Ihrer Passkeys ist gescheitert
event-passkey-failed-after-password = Eine Anmeldung mit Ihrem Namen ist gescheitert: Das Passwort war richtig, der Passkey nicht
event-code-wrong = Eine Anmeldung mit Ihrem Namen ist gescheitert: Das Passwort war richtig, der Code nicht
event-code-spent = Eine Anmeldung mit Ihrem Namen ist gescheitert: Das Passwort war richtig, aber der Code schon verwendet
event-sign-in-throttled = Eine Anmeldung mit Ihrem Namen wurde nach zu vielen Fehlversuchen gestoppt
event-codes-throttled = Eine Anmeldung mit Ihrem Namen wurde gestoppt: Das Passwort war richtig, aber zu viele Codes falsch
event-sign-out = Eine Anmeldung wurde beendet
event-entry-refused = Sie konnten einen Dienst nicht öffnen, der Ihnen nicht offensteht
event-consent-given = Sie haben einem Dienst Zugriff auf Ihr Konto erlaubt
event-consent-denied = Sie haben den Zugriff eines Dienstes auf Ihr Konto abgelehnt
event-consent-withdrawn = Sie haben den Zugriff eines Dienstes beendet
event-user-added = Ihr Konto wurde erstellt
event-password-set = Die Administration hat Ihnen ein anderes Passwort gegeben
event-password-changed = Sie haben Ihr Passwort geändert
event-password-reset = Ein neues Passwort wurde über einen Einmal-Link festgelegt
event-link-made = Die Administration hat einen Link für ein neues Passwort erstellt
event-factor-link-made = Die Administration hat einen Link zum Einrichten eines zweiten Faktors erstellt
event-links-ended = Die Administration hat Einmal-Links ungültig gemacht
event-user-disabled = Ihr Konto wurde deaktiviert
event-user-enabled = Ihr Konto wurde wieder aktiviert
event-user-edited = Ihre Angaben wurden geändert
event-user-exported = Sie haben Ihre Daten als Datei abgerufen
event-sessions-ended = Sie haben sich anderswo abgemeldet
event-sessions-ended-by-operator = Die Administration hat Sie abgemeldet
event-browsers-untrusted = Sie haben das Vertrauen in alle Browser beendet
event-deletion-requested = Sie haben um die Löschung Ihres Kontos gebeten
event-deletion-withdrawn = Sie haben die Bitte um Löschung Ihres Kontos zurückgenommen
event-factor-added = Sie haben eine Authenticator-App hinzugefügt
event-factor-removed = Eine Authenticator-App wurde entfernt
event-passkey-added = Sie haben einen Passkey hinzugefügt
event-passkey-removed = Ein Passkey wurde entfernt
event-passkey-cloned = Einer Ihrer Passkeys wurde abgelehnt: Vielleicht gibt es eine Kopie davon
event-codes-made = Sie haben Wiederherstellungscodes erstellt
event-code-used = Sie haben einen Wiederherstellungscode verwendet
event-membership-added = Sie wurden in eine Gruppe aufgenommen
event-membership-removed = Sie wurden aus einer Gruppe entfernt
event-details-set = Was Dienste über Sie erfahren, wurde geändert

## The account: data and deletion

data-heading = Ihre Daten
data-file = Was über Sie gespeichert ist
data-file-means = Eine Datei mit allem: Ihre Angaben, Gruppen, Anmeldungen, Dienste und Aktivität. Sie ist nur für Sie, bewahren Sie sie also so auf, dass sie niemand sonst liest. Auch Programme können sie lesen (JSON). Vielleicht müssen Sie sich noch einmal anmelden.
data-file-get = Datei abrufen
data-deletion = Konto löschen
data-deletion-means = Hier können Sie darum bitten. Das Team, das Ihr Konto betreut, erfährt davon und löscht es. Bis dahin können Sie die Bitte zurücknehmen. Dienste, bei denen Sie bekannt sind, haben vielleicht eigene Daten: Fragen Sie auch dort. Vielleicht müssen Sie sich noch einmal anmelden.
data-request = Um Löschung bitten
data-withdraw = Doch nicht löschen
data-requested = Sie baten um die Löschung Ihres Kontos am
data-deletion-noted = Ihre Bitte ist notiert. Das Team, das Ihr Konto betreut, erfährt davon.
data-deletion-withdrawn = Ihre Bitte ist zurückgenommen. Ihr Konto bleibt bestehen.
## A second factor, after the password or in a running session

second-factor-heading = Anmeldung bestätigen
second-factor-user = Sie sind { $user }.
# In a running session, where a service asks for more than the password.
second-factor-step-up = Für { $client } brauchen Sie auch Ihren zweiten Faktor.
second-factor-message = Geben Sie den Code aus Ihrer Authenticator-App ein.
second-factor-code = Code
second-factor-recovery-message = Geben Sie einen Ihrer Wiederherstellungscodes ein. Jeder gilt nur einmal.
second-factor-recovery-code = Wiederherstellungscode
second-factor-use-recovery = Stattdessen Wiederherstellungscode nutzen
second-factor-use-app = Stattdessen Authenticator-App nutzen
second-factor-use-passkey = Stattdessen Passkey nutzen
second-factor-passkey = Passkey nutzen
second-factor-passkey-unknown = Dieser Passkey gehört nicht zu diesem Konto. Nutzen Sie einen anderen oder einen Wiederherstellungscode.
second-factor-passkey-cloned = Dieser Passkey wurde abgelehnt: Vielleicht gibt es eine Kopie davon. Nutzen Sie einen Wiederherstellungscode und entfernen Sie den Passkey auf Ihrer Kontoseite.
second-factor-passkey-needs = Ihr Passkey braucht einen Browser, der Passkeys kennt und Skripte ausführt.
second-factor-passkey-elsewhere = Ihr Passkey gilt für eine andere Adresse dieses Anmeldedienstes. Nutzen Sie einen Wiederherstellungscode oder fragen Sie das Team, das Ihr Konto betreut.
second-factor-trust =
    { $days ->
        [one] Diesem Browser einen Tag vertrauen: Eine einfache Anmeldung fragt hier nicht nach einem Code
       *[other] Diesem Browser { $days } Tage vertrauen: Eine einfache Anmeldung fragt hier nicht nach einem Code
    }
second-factor-continue = Weiter
second-factor-wrong = Dieser Code stimmt nicht. Prüfen Sie ihn und versuchen Sie es erneut.
second-factor-used = Dieser Code wurde schon verwendet. Warten Sie auf den nächsten und geben Sie den ein.
second-factor-unreadable = Ihr zweiter Faktor kann zurzeit nicht geprüft werden. Fragen Sie nach, und nennen Sie die Referenz unten.

## A second factor that is missing

factor-missing-heading = Für { $client } brauchen Sie einen zweiten Faktor
factor-missing-message = Ihr Konto hat noch keinen. Richten Sie auf Ihrer Kontoseite einen ein und öffnen Sie dann { $client } noch einmal.
factor-missing-back = Zurück zu { $client }
factor-needed-set-up = Zweiten Faktor einrichten
factor-due-heading = Ihr Konto braucht einen zweiten Faktor
# $date is a day, such as 2026-12-24.
factor-due-message = Richten Sie vor dem { $date } auf Ihrer Kontoseite einen ein. Danach können Sie sich mit dem Passwort allein nicht mehr anmelden.
factor-due-continue = Weiter

## Back to a service

go-home = Zur Startseite
go-account = Zu Ihrem Konto
go-to-service = Weiter zu { $service }
go-back-to-service = Zurück zu { $service }
form-post-heading = Weiterleitung zu { $client }
form-post-hint = Wenn nichts passiert, drücken Sie den Knopf.
form-post-continue = Weiter zu { $client }

## Signing out

logout-heading = Möchten Sie sich abmelden?
logout-services = Diese Dienste haben Sie seit der Anmeldung genutzt:
logout-afterwards = Danach geht es zurück zu { $service }.
logout-sign-out = Abmelden
logout-stay = Angemeldet bleiben

## What was wrong with a service's request to sign out

logout-bad-hint = Der Dienst hat einen ungültigen Nachweis gesendet, daher geht es nicht zu ihm zurück.
logout-others-hint = Der Dienst hat den Nachweis eines anderen gesendet, daher geht es nicht zu ihm zurück.
logout-silent = Der Dienst hat nicht gesagt, welcher er ist, daher geht es nicht zu ihm zurück.
logout-other-address = Der Dienst wollte Sie an eine Adresse schicken, die für ihn nicht registriert ist, daher bleiben Sie hier.
logout-unknown-service = Der Dienst, von dem Sie kommen, ist hier nicht registriert, daher geht es nicht zu ihm zurück.

## After a sign-out

signed-out = Sie sind abgemeldet
signed-out-everywhere = Sie sind überall abgemeldet
    .explanation = In anderen Browsern und auf anderen Geräten dauert es ein paar Sekunden. Die Dienste, die Sie genutzt haben, erfahren davon. Apps mit Zugriff in Ihrer Abwesenheit bleiben verbunden.
signed-out-not-everywhere = Sie sind nur in diesem Browser abgemeldet
    .explanation = In anderen Browsern und auf anderen Geräten sind Sie noch angemeldet: Der Anmeldedienst konnte das gerade nicht beenden. Es liegt nicht an Ihnen. Bitte versuchen Sie es gleich erneut.
signed-out-again = Noch einmal überall abmelden
signed-out-before = Ihre Anmeldung war schon beendet
    .explanation = Sie endete in einem anderen Tab oder nach einiger Zeit von selbst, daher gab es hier nichts mehr zu beenden. Wo Sie sie genutzt haben, sind Sie vielleicht noch angemeldet: Melden Sie sich auch dort ab.
signed-out-nothing = Es gibt nichts abzumelden
    .explanation = Ihr Browser hat keine Anmeldung für diese Website mitgebracht, daher wurde nichts beendet. Wenn Sie bei einem Dienst angemeldet sind, melden Sie sich dort ab.
signed-out-stayed = Sie sind weiter angemeldet
signed-out-reached = Sie wurden auch bei diesen Diensten abgemeldet:
signed-out-not-reached = Diese Dienste waren noch nicht erreichbar. Wir versuchen es weiter; bis dahin sind Sie dort vielleicht noch angemeldet:
signed-out-cannot-be-told = Bei diesen Diensten sind Sie vielleicht noch angemeldet, denn von hier aus erfahren sie nichts. Melden Sie sich auch dort ab:
# The title of a frame that no user sees.
signed-out-frame = Abmeldung bei { $service }

## Pages for what cannot continue: what happened, in a sentence, and what the person can do. `src/web/problems.rs` has the rest.

# Instead of the message, where it is known for which service a link is; another may have made it.
error-of-service = Er ist für { $service } bestimmt und enthält einen Fehler.
# $mistake is the error_description of OAuth, which is English in every language.
error-for-developers = Für die Entwicklung: { $mistake }.
error-reference = Referenz
error-reference-hint = Nennen Sie sie dem Team, das diesen Dienst betreibt.

problem-nothing-to-continue =
    .heading = Hier ist keine Anmeldung offen
    .message = Vielleicht ist sie schon abgeschlossen, oder sie ist zu lange her.
    .hint = Öffnen Sie den gewünschten Dienst; er bringt Sie hierher, wenn Sie sich anmelden müssen.
problem-expired =
    .heading = Diese Anmeldung ist abgelaufen
    .message = Zu Ihrer Sicherheit haben Sie für eine Anmeldung eine halbe Stunde Zeit.
    .hint = Gehen Sie zum Dienst zurück und beginnen Sie neu. Es ist nichts verloren.
problem-already-answered =
    .heading = Diese Anmeldung ist abgeschlossen
    .message = Das ist schon geschehen, vielleicht in einem anderen Tab.
    .hint = Öffnen Sie den gewünschten Dienst; vielleicht sind Sie schon angemeldet.
problem-no-cookie =
    .heading = Ihr Browser hat unser Cookie nicht gesendet
    .message = Ohne das Cookie ist nicht zu erkennen, dass Sie diese Anmeldung begonnen haben.
    .hint = Erlauben Sie Cookies für diese Website, gehen Sie zum Dienst zurück und beginnen Sie neu.
problem-another-browser =
    .heading = Diese Anmeldung wurde in einem anderen Browser begonnen
    .message = Sie kann nur dort fortgesetzt werden, wo sie begonnen wurde.
    .hint = Wenn Ihnen jemand diesen Link geschickt hat, nutzen Sie ihn nicht. Sonst öffnen Sie den Dienst und beginnen Sie neu.
problem-form-not-ours =
    .heading = Dieses Formular wurde nicht angenommen
    .message = Es kam nicht von einer Seite dieser Website in diesem Browser.
    .hint = Erlauben Sie Cookies für diese Website, gehen Sie zum Dienst zurück und beginnen Sie neu.
problem-form-outdated =
    .heading = Dieses Formular ist veraltet
    .message = Seit die Seite offen ist, haben Sie sich neu an- oder abgemeldet, oder das Formular kam nicht von dieser Website. Es wurde nichts geändert.
    .hint = Öffnen Sie Ihr Konto neu und versuchen Sie es dort.
problem-bad-request =
    .heading = Dieser Anmelde-Link funktioniert nicht
    .message = Der Dienst, von dem Sie kommen, hat einen Fehler gemacht.
    .hint = Gehen Sie zum Dienst zurück und versuchen Sie es erneut. Passiert es wieder, informieren Sie das Team des Dienstes.
problem-wrong-method =
    .heading = So kann diese Adresse nicht genutzt werden
    .message = Sie gehört zum Anmeldedienst, ist aber nicht für solche Anfragen da.
    .hint = Öffnen Sie den gewünschten Dienst; er bringt Sie hierher, wenn Sie sich anmelden müssen.
problem-nothing-here =
    .heading = Hier ist nichts
    .message = Diese Adresse gehört zum Anmeldedienst, führt aber nirgendwohin.
    .hint = Öffnen Sie den gewünschten Dienst; er bringt Sie hierher, wenn Sie sich anmelden müssen.
problem-busy =
    .heading = Gerade melden sich viele Menschen an
    .message = Bitte warten Sie ein paar Sekunden und versuchen Sie es erneut.
    .hint = Neuladen dieser Seite sendet Ihre Anmeldung noch einmal.
problem-node-outdated =
    .heading = Anmelden ist gerade nicht möglich
    .message = Der Anmeldedienst wird gerade aktualisiert.
    .hint = Bitte versuchen Sie es gleich erneut.
problem-store-failed =
    .heading = Anmelden ist gerade nicht möglich
    .message = Der Anmeldedienst konnte nicht antworten. Es liegt nicht an Ihnen.
    .hint = Bitte versuchen Sie es gleich erneut.
problem-failed =
    .heading = Hier ist etwas schiefgegangen
    .message = Der Anmeldedienst konnte nicht antworten. Es liegt nicht an Ihnen.
    .hint = Bitte versuchen Sie es gleich erneut.

## One-time links

link-request-back = Zurück zur Anmeldung
link-request-hint = Ein Link gilt eine halbe Stunde. Wenn nichts kommt, sehen Sie im Spam-Ordner nach und fragen Sie das Team, das Ihr Konto betreut.

link-username = Benutzername
link-username-rule = Damit melden Sie sich an: Buchstaben, Ziffern und Zeichen wie . - _
link-username-odd = Das kann kein Benutzername sein. Bitte nehmen Sie Buchstaben, Ziffern und Zeichen wie . - _
link-username-address = Ein Benutzername mit @ muss Ihre eigene Adresse sein. Bitte wählen Sie einen anderen.
link-username-taken = Dieser Benutzername ist schon vergeben.
link-password-missing = Bitte geben Sie das neue Passwort zweimal ein. Es wurde nichts geändert.
link-username-gone = Der für Sie gewählte Benutzername ist inzwischen vergeben. Fragen Sie dort nach, wo die Einladung herkommt.
link-address-taken = Mit dieser Adresse gibt es schon ein Konto. Melden Sie sich damit an oder fragen Sie dort nach, wo die Einladung herkommt.
link-name = Vollständiger Name
link-name-odd = Dieser Name geht nicht: Er ist zu lang oder enthält ein Zeichen, das nicht angezeigt werden kann.
reset-request-heading = Passwort vergessen?
reset-request-lede = Wir senden einen Link für ein neues an die Adresse, die als Ihre bestätigt ist.
reset-request-missing = Bitte geben Sie Ihren Benutzernamen oder Ihre E-Mail-Adresse ein.
reset-request-submit = Link anfordern
reset-asked-heading = Schauen Sie in Ihr Postfach
reset-asked = Wenn es ein Konto mit diesem Namen und einer eigenen bestätigten Adresse gibt, ist ein Link dorthin unterwegs.
reset-no-mail = Fragen Sie das Team, das Ihr Konto betreut: Dort erhalten Sie einen Link für ein neues.
reset-heading = Neues Passwort festlegen
reset-lede = Danach sind Sie überall abgemeldet.
reset-submit = Passwort festlegen
reset-done-heading = Ihr neues Passwort gilt
reset-done = Sie sind in wenigen Sekunden überall abgemeldet. Melden Sie sich mit dem neuen Passwort an.
sign-up-heading = Konto erstellen
# $domains are domains with commas between them.
sign-up-lede = Sie brauchen eine E-Mail-Adresse bei { $domains }. Wir senden einen Link dorthin, mit dem Sie das Konto erstellen.
sign-up-address = E-Mail-Adresse
sign-up-submit = Link anfordern
sign-up-odd = Das kann keine Adresse sein. Es wurde nichts gesendet.
# $domains are domains with commas between them.
sign-up-elsewhere = Konten gibt es nur für Adressen bei { $domains }. Es wurde nichts gesendet.
sign-up-asked = Wenn mit { $address } ein Konto erstellt werden kann, ist ein Link dorthin unterwegs. Wenn es schon eines gibt, steht das in einer E-Mail.
sign-up-invitation-heading = Konten gibt es nur mit Einladung
sign-up-invitation = Für ein Konto brauchen Sie eine Einladung: einen Link von dem Team, das diesen Anmeldedienst betreibt. Öffnen Sie diesen Link.
sign-up-invitation-hint = Wenn Sie keine haben, bitten Sie dort darum.
sign-up-account-heading = Ihr Konto erstellen
sign-up-account-submit = Konto erstellen
login-sign-up = Konto erstellen
invitation-heading = Sie sind eingeladen
invitation-submit = Annehmen
invitation-done-heading = Ihr Konto ist bereit
invitation-done = Melden Sie sich mit Ihrem Benutzernamen und Ihrem Passwort an.
enrollment-heading = Zweiten Faktor einrichten
enrollment-lede = Zum Anmelden geben Sie künftig auch einen Code ein, den eine App auf Ihrem Handy zeigt. Geben Sie zuerst Ihr Passwort ein und halten Sie das Handy bereit.
enrollment-done-heading = Ihr zweiter Faktor ist eingerichtet
problem-link-over =
    .heading = Dieser Link gilt nicht mehr
    .message = Er wurde schon verwendet, ist zu alt oder wurde durch einen neueren ersetzt.
    .hint = Ist schon erledigt, wofür er war, melden Sie sich einfach an. Sonst fordern Sie einen neuen an.

## Another address, or the verification of the one there is

account-email-change = Ändern
account-email-verify = Bestätigen
account-email-add = Hinzufügen
email-heading = E-Mail-Adresse
email-lede = Wir senden einen Link an die Adresse. Sie gehört zu Ihrem Konto und ist bestätigt, sobald Sie den Link genutzt haben; bis dahin bleibt alles, wie es ist.
email-new = Adresse
email-ask = Link anfordern
email-odd = Das kann keine Adresse sein. Es wurde nichts gesendet.
email-no-mail = Um sie zu ändern, fragen Sie das Team, das Ihr Konto betreut.
email-link-mailed = Wenn die Adresse Ihre sein kann, ist ein Link dorthin unterwegs. Er gilt eine halbe Stunde.
email-confirm-heading = E-Mail-Adresse bestätigen
email-confirm-lede = { $address } soll die Adresse dieses Kontos werden. Geben Sie das Passwort des Kontos ein.
email-confirm = Adresse bestätigen
email-confirmed-heading = Die Adresse ist bestätigt
email-confirmed = { $address } ist ab jetzt die Adresse Ihres Kontos.
event-mailed-link-made = Ein Link für ein neues Passwort wurde an Sie gesendet
event-mailed-factor-link-made = Ein Link zum Einrichten eines zweiten Faktors wurde an Sie gesendet
event-email-link-made = Sie haben einen Link zum Bestätigen einer E-Mail-Adresse angefordert

## Mails

# $account is a user name, $host is ours.
mail-at = Wann
mail-network = Netzwerk
mail-browser = Browser
mail-link-good =
    { $minutes ->
        [one] Der Link gilt { $minutes } Minute und funktioniert einmal.
       *[other] Der Link gilt { $minutes } Minuten und funktioniert einmal.
    }
mail-password-link-subject = Neues Passwort festlegen
mail-password-link = Für Ihr Konto { $account } bei { $host } wurde ein neues Passwort angefordert.
mail-password-link-action = Neues Passwort festlegen
mail-password-link-advice = Wenn Sie das nicht waren, müssen Sie nichts tun: Ihr Passwort bleibt, wie es ist.
mail-factor-link-subject = Zweiten Faktor einrichten
mail-factor-link = Ihr Konto { $account } bei { $host } braucht einen zweiten Faktor, bevor Sie sich anmelden können. Die Seite fragt zuerst nach Ihrem Passwort.
mail-factor-link-action = Zweiten Faktor einrichten
# $address is the page for a new password.
mail-factor-link-advice = Wenn nicht Sie sich anmelden wollten, kennt jemand anders Ihr Passwort. Legen Sie ein neues fest: { $address }
mail-email-link-subject = E-Mail-Adresse bestätigen
mail-email-link = { $address } soll die Adresse des Kontos { $account } bei { $host } werden. Die Seite fragt nach dem Passwort des Kontos.
mail-email-link-action = Adresse bestätigen
mail-email-link-advice = Wenn Sie dieses Konto nicht kennen, müssen Sie nichts tun: Es erhält Ihre Adresse nicht.
mail-sign-up-link-subject = Ihr Konto erstellen
mail-sign-up-link = Mit Ihrer Adresse { $address } wurde ein Konto bei { $host } angefordert. Es entsteht erst, wenn Sie diesen Link öffnen und ein Passwort festlegen.
mail-sign-up-link-action = Konto erstellen
mail-sign-up-link-advice = Wenn Sie das nicht waren, müssen Sie nichts tun: Es wird kein Konto erstellt.
mail-has-account-subject = Sie haben schon ein Konto
mail-has-account = Mit Ihrer Adresse wurde ein Konto bei { $host } angefordert. Sie gehört schon zu Ihrem Konto { $account }: Melden Sie sich damit an.
# $address is the page for a new password.
mail-has-account-advice = Wenn Sie das Passwort vergessen haben, legen Sie unter { $address } ein neues fest. Wenn Sie kein Konto angefordert haben, müssen Sie nichts tun.
mail-password-changed-subject = Ihr Passwort wurde geändert
mail-password-changed = Das Passwort Ihres Kontos { $account } bei { $host } wurde auf der Kontoseite geändert.
mail-password-reset-subject = Ihr Passwort wurde geändert
mail-password-reset = Für Ihr Konto { $account } bei { $host } wurde über einen Einmal-Link ein neues Passwort festgelegt.
mail-password-set-subject = Ihr Passwort wurde geändert
mail-password-set = Die Administration hat Ihrem Konto { $account } bei { $host } ein anderes Passwort gegeben.
mail-email-changed-subject = Ihre E-Mail-Adresse wurde geändert
mail-email-changed = Ihr Konto { $account } bei { $host } hat ab jetzt eine andere E-Mail-Adresse. Diese hier erhält keine E-Mails mehr dazu.
mail-email-changed-advice = Wenn Sie das nicht waren, informieren Sie sofort das Team, das Ihr Konto betreut.
mail-factor-added-subject = Ein zweiter Faktor wurde hinzugefügt
mail-factor-added = Ihr Konto { $account } bei { $host } hat einen neuen zweiten Faktor: eine Authenticator-App oder einen Passkey, mit dem man sich auch ohne Passwort anmelden kann.
mail-factor-removed-subject = Ein zweiter Faktor wurde entfernt
mail-factor-removed = Ein zweiter Faktor Ihres Kontos { $account } bei { $host } wurde entfernt: eine Authenticator-App, ein Passkey oder die Wiederherstellungscodes.
mail-passkey-cloned-subject = Ein Passkey wurde abgelehnt
mail-passkey-cloned = Für Ihr Konto { $account } bei { $host } wurde eine Anmeldung mit einem Ihrer Passkeys abgelehnt: Der Passkey zählt mit, wie oft er genutzt wird, und sein Zähler ist nicht gestiegen. Vielleicht gibt es eine Kopie davon.
# $address is the page of the passkeys.
mail-passkey-cloned-advice = Entfernen Sie den Passkey unter { $address } und fügen Sie einen neuen hinzu. Wenn nicht Sie sich angemeldet haben, informieren Sie das Team, das Ihr Konto betreut.
mail-codes-made-subject = Neue Wiederherstellungscodes
mail-codes-made = Für Ihr Konto { $account } bei { $host } wurden Wiederherstellungscodes erstellt. Die bisherigen gelten nicht mehr.
mail-new-browser-subject = Anmeldung mit einem neuen Browser
mail-new-browser = Für Ihr Konto { $account } bei { $host } gab es eine Anmeldung mit einem unbekannten Browser: einem, mit dem es noch nie genutzt wurde oder nicht mehr, seit das Passwort ein anderes ist.
# $address is the page for a new password.
mail-advice = Wenn Sie das nicht waren, legen Sie sofort unter { $address } ein neues Passwort fest und informieren Sie das Team, das Ihr Konto betreut.
