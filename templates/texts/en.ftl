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
login-cancel = Cancel
# $host is ours, as the address bar shows it.
login-password-stays = Your password stays at { $host }. It is never shared with { $client }.
login-password-here = Your password stays at { $host }.
# Told to who has proven the password, and to no other.
login-locked = Your account is locked. Ask those who run this sign-in to unlock it.
login-disabled = Your account is disabled. Ask those who run this sign-in to enable it.
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

## Back to a service

go-home = Go to the start page
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
