-- Users who sign up by themselves (HALLPASS_SIGN_UP): a link that is mailed to the address, whose account is added when it is used.
-- `user_links.purpose` is sign_up then, `made_by` mail, `sub` NULL and `detail` as with an invitation. `mail_outbox.kind` is sign_up_link,
-- without a `sub`, or has_account: to who asked for an account and has one.

CREATE INDEX user_links_sign_ups ON user_links (email_folded) WHERE purpose = 'sign_up';
