### en.ftl owns every text of the pages and mails, in English.
###
### A text is text: what looks like markup is shown as it is. A name is a variable; the template decides whether it is
### marked (`src/texts.rs`). How often something is, is written out for each plural that the language has.

## The frame of every page

brand = Hallpass
footer = Hallpass sign-in service
footer-of = Sign-in service of { $organization }
footer-help = Help
footer-privacy = Privacy
footer-imprint = Imprint

## Who is signed in, on several pages

signed-in-as = Signed in as { $user }
another-account = Not you? Use another account

## The start page

home-signed-in = You are signed in
home-signed-out = You are not signed in
home-lede = Sign in here, or go to the service you want to use.
home-services = Services you can open
home-account = Your account
home-everywhere = Sign out everywhere
home-everywhere-means = Everywhere is every browser and device where you are signed in with this account. Apps that you allowed to work while you are away stay connected.

## Signing in

login-heading = Sign in to continue to { $client }
login-heading-home = Sign in
login-confirm = Please confirm it is you, { $user }.
login-continue-as = Continue as { $user }
login-another-account = or use another account
login-username = User name or e-mail
login-password = Password
login-remember = Stay signed in on this device
# Beside the password: what is seen, and what it is called.
login-show = Show
login-show-password = Show password
login-hide = Hide
login-hide-password = Hide password
login-sign-in = Sign in
login-forgotten = Forgot your password?
login-passkey = Sign in with a passkey
login-cancel = Cancel
# $host is ours, as the address bar shows it.
login-password-stays = Your password stays at { $host }. It is never shared with { $client }.
login-password-here = Your password stays at { $host }.
# Told to who has proven the password, and to no other.
login-locked = Your account is locked. Ask those who run this sign-in to unlock it.
login-disabled = Your account is disabled. Ask those who run this sign-in to enable it.
login-factor-overdue = Your account needs a second factor, and the time to set one up is over. Ask those who run this sign-in for a link to set one up.
login-factor-link-mailed = Your account needs a second factor, and the time to set one up is over. A link to set one up is on its way to your e-mail address.
# The same for an unknown user and for a wrong password.
login-wrong = That user name and password do not match. Check both and try again.
# $time is a time of day, such as 14:32 UTC.
login-wait =
    { $minutes ->
        [one] There were too many failed attempts. Please wait { $minutes } minute, until { $time }, and try again.
       *[other] There were too many failed attempts. Please wait { $minutes } minutes, until { $time }, and try again.
    }

## Consent

consent-heading = Allow { $client } to use your account?
# Beside what is asked for now and was not allowed before.
consent-new = New
consent-allowed-before = What is not marked as new you have allowed before.
consent-asks = What { $client } asks for
consent-asks-nothing = { $client } asks for nothing but to know that you signed in.
consent-allow = Allow
consent-deny = Deny
consent-return = Either way, you will be sent back to { $host }.
# An app on the user's own machine: browsers stay on this page when it takes over.
consent-return-app = Either way, you will be sent back to the app. Then you can close this page.
consent-back-to-app = If the app has opened, you can go on there and close this page.
consent-about = About { $client }
consent-new-tab = (opens in a new tab)
consent-website = Website
consent-privacy-policy = Privacy policy
consent-terms = Terms of service

## What a client may ask for. A scope that is not here is one of a service's own, and has its token as its title.

scope-profile = Your profile
    .description = Your name and other details of your profile, such as picture, website and language.
scope-email = Your e-mail address
    .description = Your e-mail address and whether it has been verified.
scope-address = Your postal address
    .description = The postal address in your profile.
scope-phone = Your phone number
    .description = Your phone number and whether it has been verified.
scope-groups = Your groups
    .description = The groups you are in, by which services decide what you may do.
scope-offline-access = Access while you are away
    .description = Stay connected to your account when you are not using it, until you or an administrator end this.
# What a service is told whatever it asks for, as its operator set it up.
scope-beyond = What your organization tells this service
    .description = Details that this service needs to know what you may do there.
scope-of-a-service = A permission that this service defines itself.

## What of a user's profile is sent: the name of each before its value.

claim-name = Name
claim-family-name = Family name
claim-given-name = Given name
claim-middle-name = Middle name
claim-nickname = Nickname
claim-preferred-username = User name
claim-profile = Profile page
claim-picture = Picture
claim-website = Website
claim-gender = Gender
claim-birthdate = Date of birth
claim-zoneinfo = Time zone
claim-locale = Language
claim-email = Address
claim-address = Address
claim-phone-number = Number
claim-groups = Groups
claim-none = none

## A service that the user may not enter

no-entry-heading = You cannot open { $client }
no-entry-message = { $client } is open to certain groups only, and your account is not in one of them.
no-entry-help = If you need it, ask the people who look after your account.
no-entry-ask = Ask for access
no-entry-back = Go back to { $client }

## The account: the links of its pages

account-nav = Your account
account-nav-account = Overview
account-nav-password = Password
account-nav-second-factor = Second factor
account-nav-passkeys = Passkeys
account-nav-sessions = Sign-ins
account-nav-services = Services
account-nav-events = Activity
account-nav-data = Your data
account-nav-home = Start page

## The account: who the user is

account-heading = Your account
account-name = Name
account-username = User name
account-email = E-mail
account-verified = (verified)
account-not-verified = (not verified)
account-groups = Groups
account-told = What services are told
account-told-means = A service is told no more of this than what you allowed it, or what your organization decided for it. If something here is wrong, ask the people who look after your account.
account-sub = Your account has the number { $sub }. It never changes, and services know you by it or by one made of it.

## The account: the password

password-heading = Change your password
password-lede = When it is changed, you are signed out in all other browsers and on all other devices, and apps that work while you are away have to connect again.
password-none = Your account has no password, so there is none to change. If you need one, ask the people who look after your account.
password-old = Current password
password-new = New password
password-repeated = New password again
password-rule = At least 10 characters. Four words that do not belong together are easy to remember and hard to guess.
password-change = Change password
password-check = Check only
password-check-means = The check tells you how strong the new password is. Nothing is saved.
password-changed = Your password is changed. In all other browsers and on all other devices you are signed out within a few seconds.
password-wrong = That is not your current password. Nothing was changed.
password-missing = Please type your current password and the new one twice. Nothing was changed.
password-differs = The two new passwords are not the same. Nothing was changed.
password-same = The new password is the current one. Nothing was changed.
password-short = The new password is too short: it needs at least 10 characters. Nothing was changed.
password-common = The new password is one of those that are tried first. Please take another. Nothing was changed.
password-personal = The new password is your name or that of this service. Please take another. Nothing was changed.
password-odd = The new password has a character that cannot be used, or is too long. Nothing was changed.
password-elsewhere = Your password was changed in another place just now, so nothing was changed here.
# How long it would take to guess a password, for those who stole what it is checked against.
strength-at-once = A thief of our password database would find this password at once.
strength-minutes =
    { $number ->
        [one] A thief of our password database would need about { $number } minute to find this password.
       *[other] A thief of our password database would need about { $number } minutes to find this password.
    }
strength-hours =
    { $number ->
        [one] A thief of our password database would need about { $number } hour to find this password.
       *[other] A thief of our password database would need about { $number } hours to find this password.
    }
strength-days =
    { $number ->
        [one] A thief of our password database would need about { $number } day to find this password.
       *[other] A thief of our password database would need about { $number } days to find this password.
    }
strength-months =
    { $number ->
        [one] A thief of our password database would need about { $number } month to find this password.
       *[other] A thief of our password database would need about { $number } months to find this password.
    }
strength-years =
    { $number ->
        [one] A thief of our password database would need about { $number } year to find this password.
       *[other] A thief of our password database would need about { $number } years to find this password.
    }
strength-centuries = A thief of our password database would need centuries to find this password.
strength-advice = A longer one is better: add another word or two.
strength-good = That is a good password.

## The account: the second factor

factors-heading = Second factor
factors-lede = With a second factor your password alone opens nothing: to sign in you also type a code that an app on your phone shows, or use a passkey.
factors-is-demanded = Your organization asks you to have one.
factors-authenticators = Authenticator apps
factors-none = You have none. Any app for one-time codes will do; most password managers have one too.
factors-unnamed = Authenticator
factors-remove = Remove
factors-add = Add an authenticator
factors-added = Your authenticator is added. From now on you are asked for a code of it when you sign in.
factors-authenticator-added = Your authenticator is added.
factors-removed = It is removed.
factors-gone = It was not there any more.
factors-too-many =
    { $most ->
        [one] You may have { $most } authenticator. Remove it first.
       *[other] You may have { $most } authenticators. Remove one first.
    }
factors-expired = That took longer than ten minutes, or was done already. Please begin again.
factors-demanded = Your organization asks you to have a second factor, and this is your last one. Add another one first.
factors-unavailable = A second factor cannot be added at the moment. Please tell the people who look after your account.
factors-codes = Recovery codes
factors-codes-left =
    { $left ->
        [one] You have { $left } recovery code left.
       *[other] You have { $left } recovery codes left.
    }
factors-codes-none = You have no recovery codes.
factors-codes-means = Each takes the place of your second factor once: when your phone is lost, say. New ones replace those you have.
factors-codes-make = Make recovery codes
factors-codes-again = Make new recovery codes
factors-codes-made = Your new recovery codes are made. The old ones do not work any more.
authenticator-heading = Add an authenticator
authenticator-scan = Open your authenticator app, and let it read this picture.
authenticator-picture = The picture for your authenticator app. If you cannot read it with a camera, use the link or the text below.
authenticator-open = Open it in an app on this device
authenticator-type = Or type it in
authenticator-code-means = Type the code that the app shows.
authenticator-code = Code
authenticator-name = Name, such as my phone (may be empty)
authenticator-add = Add it
authenticator-wrong = That is not the code that the app shows now. Please type the next one. If it is never right, look whether the clock of your phone is.
codes-heading = Your recovery codes
codes-means = Keep them where you find them without your phone: on a sheet in a drawer, or in a password manager. Each works once, in place of your second factor.
codes-once = They are shown here once and never again.
codes-kept = I have kept them

## The account: passkeys

passkeys-heading = Passkeys
passkeys-lede = With a passkey you sign in without a password: you unlock your phone, your computer or a security key, and that is all.
passkeys-none = You have none.
passkeys-unnamed = Passkey
passkeys-synced = It can be on several of your devices.
passkeys-bound = It stays on the one device that it was made on.
passkeys-elsewhere = It was made for another address of this sign-in and cannot be used here.
passkeys-held-back = You have a new password since you used it. It signs you in again once you have confirmed a sign-in by that password with it. If it is not yours, remove it.
passkeys-first = It is a second factor too: from then on your password alone does not sign you in any more.
passkeys-needs = To add one, use a browser that knows passkeys and runs scripts.
passkeys-not-here = Passkeys cannot be used at this address.
passkeys-name = Name (may be empty)
passkeys-add = Add a passkey
passkeys-added = Your passkey is added.
passkeys-added-first = Your passkey is added. When you sign in with your password, you are asked for it as well.
passkeys-removed = The passkey is removed here. Remove it from your device too.
passkeys-too-many =
    { $most ->
        [one] You may have { $most } passkey. Remove it first.
       *[other] You may have { $most } passkeys. Remove one first.
    }
passkeys-full = You have as many as you may have. Remove one first.
passkeys-held = This device has a passkey for your account already.
passkeys-not-kept = This security key did not keep the passkey, so that no sign-in would find it. Use another one.
passkeys-invalid = That passkey cannot be added. Please try again, perhaps with another device.
passkeys-outdated = This page was too old, or was used already. Please try again.

## A passkey at a sign-in

passkey-late = This page was open for too long. Load it again to add a passkey.
passkey-failed = That did not work, or was canceled. You can try again.
passkey-unknown = That passkey is not known here any more. Sign in with your password, and remove it from your device.
passkey-unverified = Your device did not check that it is you. Set up a PIN, a finger or a face there, and try again.
passkey-cloned = That passkey was refused: there may be a copy of it. Sign in with your password and a recovery code, and remove the passkey on your account page.
passkey-held-back = You have a new password since you used that passkey. Sign in with your password once, and confirm it with the passkey.
passkey-invalid = That passkey could not be checked. Please try again.
passkey-offer-heading = Sign in without a password?
passkey-offer-message = This device can keep a passkey for you. Next time you unlock the device, and you are signed in.
passkey-offer-later = Not now
passkey-offer-means = You are not asked again. You can add one on your account page at any time.
passkey-offer-late = That cannot be done here any more. Continue, and add a passkey on your account page.

## The account: where the user is signed in

sessions-heading = Where you are signed in
# $browser and $system are names, such as Firefox and Linux.
browser = { $browser }
browser-on = { $browser } on { $system }
browser-another = another browser
browser-another-on = another browser on { $system }
sessions-here = this browser
sessions-network = Network
sessions-since = Since
sessions-used = Last used
sessions-end = Sign out there
sessions-end-others = Sign out everywhere else
sessions-more =
    { $number ->
        [one] There is { $number } more, which was used longer ago.
       *[other] There are { $number } more, which were used longer ago.
    }
sessions-means = When something was used last is known to within an hour. A sign-out takes a few seconds, and the services that were used are told. If you do not know one of these, sign out there and change your password.
sessions-ended = You are signed out there within a few seconds.
sessions-over = That sign-in had ended before.
sessions-others-ended = You are signed out everywhere else within a few seconds.
trust-heading = Trusted browsers
trust-here = You trust this browser: a plain sign-in asks for nothing but your password here.
trust-not-here = You do not trust this browser: each sign-in asks for your second factor here.
trust-until = Until
trust-end = Trust no browser any more
trust-means = That ends it in every browser that you trust. Where you are signed in you stay signed in.
trust-ended = You trust no browser any more. Your next sign-in asks for your second factor, wherever it is.

## The account: services

services-heading = Services with access
services-none = No service has access to your account beyond the moment you sign in to it.
services-told = Is told
services-connected = It stays connected while you are away.
services-of-organization = Your organization lets this service in without asking you. Signing in there connects it again.
services-take-back = Take back
services-means = When you take it back, the service has to ask you again. What it knows already it may keep, and you may still be signed in there: sign out at the service too. A permission that it was given for a moment may still work until it runs out, after some minutes as a rule.
services-taken-back = It is taken back. You may still be signed in at that service: sign out there too.
services-nothing-to-take-back = That service had no access any more.

## The account: what happened

events-heading = Recent activity
events-lede =
    { $days ->
        [one] What happened at your account in the last { $days } day. What is older is not shown.
       *[other] What happened at your account in the last { $days } days. What is older is not shown.
    }
events-none = Nothing happened in that time.
events-at = When
events-service = Service
events-older = Older
events-means = If you do not know one of these, change your password and tell the people who look after your account.
event-sign-in = You signed in
event-sign-in-trusting = You signed in, and trusted the browser
event-step-up = You confirmed by your second factor that it is you
event-sign-in-failed = A sign-in with your name failed
event-passkey-failed = A sign-in with a passkey of yours failed
event-passkey-failed-after-password = A sign-in with your name failed: the password was right, and the passkey was not
event-code-wrong = A sign-in with your name failed: the password was right, and the code was not
event-code-spent = A sign-in with your name failed: the password was right, and the code had been used before
event-sign-in-throttled = A sign-in with your name was stopped after too many failures
event-codes-throttled = A sign-in with your name was stopped: the password was right, and too many codes were wrong
event-sign-out = A sign-in ended
event-entry-refused = You could not open a service that is not open to you
event-consent-given = You allowed a service to use your account
event-consent-denied = You did not allow a service to use your account
event-consent-withdrawn = You took back what a service was allowed
event-user-added = Your account was made
event-password-set = An administrator gave you another password
event-password-changed = You changed your password
event-password-reset = A new password was set by a one-time link
event-link-made = An administrator made a link for a new password
event-factor-link-made = An administrator made a link to set up a second factor
event-links-ended = An administrator ended one-time links
event-user-disabled = Your account was disabled
event-user-enabled = Your account was enabled again
event-user-edited = Your details were changed
event-user-exported = You took your data as a file
event-sessions-ended = You signed out in other places
event-sessions-ended-by-operator = An administrator signed you out
event-browsers-untrusted = You ended the trust in all browsers
event-deletion-requested = You asked for your account to be deleted
event-deletion-withdrawn = You took back the request to delete your account
event-factor-added = You added an authenticator
event-factor-removed = An authenticator was removed
event-passkey-added = You added a passkey
event-passkey-removed = A passkey was removed
event-passkey-cloned = A passkey of yours was refused: there may be a copy of it
event-codes-made = You made recovery codes
event-code-used = You used a recovery code
event-membership-added = You were put into a group
event-membership-removed = You were taken out of a group
event-details-set = What services are told of you was changed

## The account: data and deletion

data-heading = Your data
data-file = What is kept of you
data-file-means = A file with all of it: your details, groups, sign-ins, services and activity. It is for you alone, so keep it where no one else reads it. Programs can read it too (JSON). You may be asked to sign in once more.
data-file-get = Get the file
data-deletion = Delete your account
data-deletion-means = You can ask for it here. The people who look after your account are told, and delete it. Until then you can take it back. Services that know you may have data of their own: ask there too. You may be asked to sign in once more.
data-request = Ask for deletion
data-withdraw = Take back the request
data-requested = You asked for your account to be deleted on
data-deletion-noted = Your request is noted. The people who look after your account are told.
data-deletion-withdrawn = Your request is taken back. Your account stays.
## A second factor, after the password or in a running session

second-factor-heading = Confirm that it is you
second-factor-user = You are { $user }.
# In a running session, where a service asks for more than the password.
second-factor-step-up = { $client } asks for your second factor as well.
second-factor-message = Enter the code that your authenticator app shows now.
second-factor-code = Code
second-factor-recovery-message = Enter one of your recovery codes. Each of them works once.
second-factor-recovery-code = Recovery code
second-factor-use-recovery = Use a recovery code instead
second-factor-use-app = Use your authenticator app instead
second-factor-use-passkey = Use your passkey instead
second-factor-passkey = Use your passkey
second-factor-passkey-unknown = That passkey is none of this account. Use another one, or a recovery code.
second-factor-passkey-cloned = That passkey was refused: there may be a copy of it. Use a recovery code, and remove the passkey on your account page.
second-factor-passkey-needs = Your passkey needs a browser that knows passkeys and runs scripts.
second-factor-passkey-elsewhere = Your passkey was made for another address of this sign-in. Use a recovery code, or ask those who run this sign-in.
second-factor-trust =
    { $days ->
        [one] Trust this browser for a day: a plain sign-in does not ask for a code here
       *[other] Trust this browser for { $days } days: a plain sign-in does not ask for a code here
    }
second-factor-continue = Continue
second-factor-wrong = That code is not right. Check it and try again.
second-factor-used = That code was used already. Wait for the next one, and enter that.
second-factor-unreadable = Your second factor cannot be checked at the moment. Ask those who run this sign-in, and give them the reference below.

## A second factor that is missing

factor-missing-heading = { $client } asks for a second factor
factor-missing-message = Your account has none yet. Set one up on your account page, then open { $client } once more.
factor-missing-back = Go back to { $client }
factor-needed-set-up = Set up a second factor
factor-due-heading = Your account needs a second factor
# $date is a day, such as 2026-12-24.
factor-due-message = Set one up on your account page before { $date }. After that, your password alone does not sign you in any more.
factor-due-continue = Continue

## Back to a service

go-home = Go to the start page
go-account = Go to your account
go-to-service = Go to { $service }
go-back-to-service = Go back to { $service }
form-post-heading = Taking you to { $client }
form-post-hint = If nothing happens, press the button.
form-post-continue = Continue to { $client }

## Signing out

logout-heading = Do you want to sign out?
logout-services = You have used these services since you signed in:
logout-afterwards = After that you go back to { $service }.
logout-sign-out = Sign out
logout-stay = Stay signed in

## What was wrong with a service's request to sign out

logout-bad-hint = The service sent a proof that is not good, so you will not be sent back to it.
logout-others-hint = The service sent the proof of another one, so you will not be sent back to it.
logout-silent = The service did not say which one it is, so you will not be sent back to it.
logout-other-address = The service asked to send you to an address that is not registered for it, so you stay here.
logout-unknown-service = The service that sent you is not registered here, so you will not be sent back to it.

## After a sign-out

signed-out = You are signed out
signed-out-everywhere = You are signed out everywhere
    .explanation = In other browsers and on other devices it takes a few seconds. The services that you used are told. Apps that you allowed to work while you are away stay connected.
signed-out-not-everywhere = You are signed out in this browser only
    .explanation = In other browsers and on other devices you are still signed in: the sign-in service could not end that just now. This is not your fault. Please try again in a moment.
signed-out-again = Try again to sign out everywhere
signed-out-before = Your sign-in had ended before
    .explanation = It ended in another tab, or by itself after some time, so there was nothing left to end here. Where you used it, you may still be signed in: sign out there too.
signed-out-nothing = There is no sign-in to end
    .explanation = Your browser brought no sign-in of this site along, so nothing was ended. Where you are signed in at a service, sign out there.
signed-out-stayed = You are still signed in
signed-out-reached = You were signed out of these services too:
signed-out-not-reached = These services could not be reached yet. We keep trying; until then you may still be signed in there:
signed-out-cannot-be-told = You may still be signed in at these services, which cannot be told from here. Sign out there too:
# The title of a frame that no user sees.
signed-out-frame = Signing out of { $service }

## Pages for what cannot continue: what happened, in a sentence, and what the person can do. `src/web/problems.rs` has the rest.

# Instead of the message, where it is known for which service a link is; another may have made it.
error-of-service = It is meant for { $service }, and there is a mistake in it.
# $mistake is the error_description of OAuth, which is English in every language.
error-for-developers = For the developers: { $mistake }.
error-reference = Reference
error-reference-hint = Give this to the person who runs this service.

problem-nothing-to-continue =
    .heading = There is no sign-in to continue here
    .message = It may have been completed already, or it was too long ago.
    .hint = Go to the service you want to use; it brings you here when you have to sign in.
problem-expired =
    .heading = This sign-in has expired
    .message = For your safety, a sign-in has to be completed within half an hour.
    .hint = Go back to the service and start again. Nothing is lost.
problem-already-answered =
    .heading = This sign-in is complete
    .message = It was completed before, perhaps in another tab.
    .hint = Go to the service you want to use; you may be signed in already.
problem-no-cookie =
    .heading = Your browser did not send our cookie
    .message = Without it, there is no way to know that it is you who started this sign-in.
    .hint = Allow cookies for this site, then go back to the service and start again.
problem-another-browser =
    .heading = This sign-in was started in another browser
    .message = It can only be continued where it was started.
    .hint = If someone sent you this link, do not use it. Otherwise go to the service and start again.
problem-form-not-ours =
    .heading = This form was not accepted
    .message = It did not come from this site's own page in this browser.
    .hint = Allow cookies for this site, then go back to the service and start again.
problem-form-outdated =
    .heading = This form is not up to date
    .message = Since the page was opened you signed in again or out, or it did not come from this site. Nothing was changed.
    .hint = Open your account again and try there.
problem-bad-request =
    .heading = This sign-in link does not work
    .message = The service that sent you here made a mistake.
    .hint = Go back to the service and try again. If it happens again, tell the people who run it.
problem-wrong-method =
    .heading = This address cannot be used like that
    .message = It belongs to the sign-in service, but is not for this kind of request.
    .hint = Go to the service you want to use; it brings you here when you have to sign in.
problem-nothing-here =
    .heading = There is nothing here
    .message = This address belongs to the sign-in service, but leads nowhere.
    .hint = Go to the service you want to use; it brings you here when you have to sign in.
problem-busy =
    .heading = Many people are signing in right now
    .message = Please wait a few seconds and try again.
    .hint = Reloading this page sends your sign-in again.
problem-node-outdated =
    .heading = Signing in is not possible right now
    .message = The sign-in service is being updated.
    .hint = Please try again in a moment.
problem-store-failed =
    .heading = Signing in is not possible right now
    .message = The sign-in service could not answer. This is not your fault.
    .hint = Please try again in a moment.
problem-failed =
    .heading = Something went wrong here
    .message = The sign-in service could not answer. This is not your fault.
    .hint = Please try again in a moment.

## One-time links

link-request-back = Back to the sign-in
link-request-hint = A link is good for half an hour. If nothing comes, look where unwanted mail goes, and ask the people who look after your account.

link-username = User name
link-username-rule = You sign in with the user name: letters, digits and signs such as . - _
link-username-odd = That cannot be a user name. Please take letters, digits and signs such as . - _
link-username-address = A user name with an @ must be your own address. Please take another.
link-username-taken = That user name is taken. Please take another.
link-password-missing = Please type the new password twice. Nothing was changed.
link-username-gone = The user name that was chosen for you is another user's by now. Ask the people who invited you.
link-address-taken = There is an account with this address already. Sign in with it, or ask the people who invited you.
link-name = Full name
link-name-odd = That name cannot be used: it is too long, or has a character that cannot be shown.
reset-request-heading = Forgot your password?
reset-request-lede = A link to set a new one is mailed to the address that is verified to be yours.
reset-request-missing = Please type your user name or e-mail address.
reset-request-submit = Send me a link
reset-asked-heading = Look into your mail
reset-asked = If there is an account of that name with a verified address of its own, a link is on its way there.
reset-no-mail = Ask the people who look after your account: they give you a link to set a new one.
reset-heading = Set a new password
reset-lede = When it is set, you are signed out everywhere.
reset-submit = Set password
reset-done-heading = Your password is set
reset-done = You are signed out everywhere within a few seconds. Sign in with the new password.
sign-up-heading = Create an account
# $domains are domains with commas between them.
sign-up-lede = Your e-mail address must be one at { $domains }. A link to create the account is mailed there.
sign-up-address = E-mail address
sign-up-submit = Mail me a link
sign-up-odd = That cannot be an address. Nothing was sent.
# $domains are domains with commas between them.
sign-up-elsewhere = An account is for addresses at { $domains } only. Nothing was sent.
sign-up-asked = If an account can be made with { $address }, a link is on its way there. If there is one already, a mail says so.
sign-up-invitation-heading = Accounts are by invitation
sign-up-invitation = You need an invitation to create an account: a link that the people who run this sign-in give you. Open that link.
sign-up-invitation-hint = If you have none, ask them for one.
sign-up-account-heading = Create your account
sign-up-account-submit = Create the account
login-sign-up = Create an account
invitation-heading = You are invited
invitation-submit = Accept
invitation-done-heading = Your account is ready
invitation-done = Sign in with your user name and your password.
enrollment-heading = Set up a second factor
enrollment-lede = To sign in you will also type a code that an app on your phone shows. Type your password first, and have the phone at hand.
enrollment-done-heading = Your second factor is set up
problem-link-over =
    .heading = This link does not work any more
    .message = It was used already, it is too old, or a newer one took its place.
    .hint = If you did what it was for, just sign in. If not, ask for a new one.

## Another address, or the verification of the one there is

account-email-change = Change
account-email-verify = Verify
account-email-add = Add one
email-heading = E-mail address
email-lede = A link is mailed to the address. It is yours, and verified, when you have used the link; until then everything stays as it is.
email-new = The address
email-ask = Mail me a link
email-odd = That cannot be an address. Nothing was sent.
email-no-mail = To have it changed, ask the people who look after your account.
email-link-mailed = If the address can be yours, a link is on its way there. It is good for half an hour.
email-confirm-heading = Confirm your e-mail address
email-confirm-lede = { $address } is to be the address of this account. Type the password of the account.
email-confirm = Confirm the address
email-confirmed-heading = The address is confirmed
email-confirmed = { $address } is the address of your account from now on.
event-mailed-link-made = A link for a new password was mailed to you
event-mailed-factor-link-made = A link to set up a second factor was mailed to you
event-email-link-made = You asked for a link to confirm an e-mail address

## Mails

# $account is a user name, $host is ours.
mail-at = When
mail-network = From
mail-browser = Browser
mail-link-good =
    { $minutes ->
        [one] The link is good for { $minutes } minute and works once.
       *[other] The link is good for { $minutes } minutes and works once.
    }
mail-password-link-subject = Set a new password
mail-password-link = A new password was asked for, for your account { $account } at { $host }.
mail-password-link-action = Set a new password
mail-password-link-advice = If you did not ask for it, there is nothing to do: your password stays as it is.
mail-factor-link-subject = Set up your second factor
mail-factor-link = Your account { $account } at { $host } needs a second factor before you can sign in. The page asks for your password first.
mail-factor-link-action = Set up a second factor
# $address is the page for a new password.
mail-factor-link-advice = If it was not you who tried to sign in, another person knows your password. Set a new one at { $address }
mail-email-link-subject = Confirm your e-mail address
mail-email-link = { $address } is to be the address of the account { $account } at { $host }. The page asks for the password of the account.
mail-email-link-action = Confirm the address
mail-email-link-advice = If you do not know this account, there is nothing to do: it does not get your address.
mail-sign-up-link-subject = Create your account
mail-sign-up-link = An account at { $host } was asked for with your address { $address }. There is none until you open this link and set a password.
mail-sign-up-link-action = Create the account
mail-sign-up-link-advice = If you did not ask for it, there is nothing to do: no account is made.
mail-has-account-subject = You have an account already
mail-has-account = An account at { $host } was asked for with your address. It is the address of your account { $account }: sign in with that.
# $address is the page for a new password.
mail-has-account-advice = If you forgot the password, set a new one at { $address } and if you did not ask for an account, there is nothing to do.
mail-password-changed-subject = Your password was changed
mail-password-changed = The password of your account { $account } at { $host } was changed on the account page.
mail-password-reset-subject = Your password was changed
mail-password-reset = A new password was set for your account { $account } at { $host }, by a one-time link.
mail-password-set-subject = Your password was changed
mail-password-set = An administrator gave your account { $account } at { $host } another password.
mail-email-changed-subject = Your e-mail address was changed
mail-email-changed = Your account { $account } at { $host } has another e-mail address from now on. This one gets no more mails about it.
mail-email-changed-advice = If this was not you, tell the people who look after your account at once.
mail-factor-added-subject = A second factor was added
mail-factor-added = Your account { $account } at { $host } has a new second factor: an authenticator app, or a passkey, which can sign in without the password.
mail-factor-removed-subject = A second factor was removed
mail-factor-removed = A second factor of your account { $account } at { $host } was removed: an authenticator, a passkey, or the recovery codes.
mail-passkey-cloned-subject = A passkey was refused
mail-passkey-cloned = A sign-in to your account { $account } at { $host } with one of your passkeys was refused: the passkey counts how often it is used, and its counter did not grow. There may be a copy of it.
# $address is the page of the passkeys.
mail-passkey-cloned-advice = Remove the passkey at { $address } and add a new one. If it was not you who signed in, tell the people who look after your account.
mail-codes-made-subject = New recovery codes
mail-codes-made = Recovery codes were made for your account { $account } at { $host }. Those from before do not work any more.
mail-new-browser-subject = A sign-in from a new browser
mail-new-browser = Your account { $account } at { $host } was signed in to with a browser that is not known to it: one that was not used for it before, or not since the password is another one.
# $address is the page for a new password.
mail-advice = If this was not you, set a new password at once, at { $address } and tell the people who look after your account.
