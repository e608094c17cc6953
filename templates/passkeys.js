// passkeys.js owns how a page asks the browser for a passkey: what a form of ours says is handed over, and the answer is sent with it. On
// the login page the browser offers passkeys where names and passwords are typed; where it cannot, and elsewhere, there is a button.
"use strict";

(function () {
  var form = document.getElementById("passkey");
  var can = window.PublicKeyCredential && navigator.credentials && navigator.credentials.get;
  if (!form || !can) {
    return;
  }
  var button = form.querySelector("button[name=action]");
  var said = document.getElementById("passkey-said");
  var makes = form.dataset.passkey === "create";
  // What waits quietly for the user, and whether they are asked just now.
  var quiet = null;
  var busy = false;

  var toBytes = function (text) {
    var binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(binary, function (c) {
      return c.charCodeAt(0);
    });
  };
  var toText = function (buffer) {
    var binary = "";
    new Uint8Array(buffer).forEach(function (byte) {
      binary += String.fromCharCode(byte);
    });
    return btoa(binary).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  };

  // Bytes travel as base64url, whatever the browser can convert itself.
  var asked = function () {
    var options = JSON.parse(form.dataset.options).publicKey;
    options.challenge = toBytes(options.challenge);
    if (options.user) {
      options.user.id = toBytes(options.user.id);
    }
    (options.excludeCredentials || []).concat(options.allowCredentials || []).forEach(function (one) {
      one.id = toBytes(one.id);
    });
    return options;
  };
  var answered = function (credential) {
    var response = { clientDataJSON: toText(credential.response.clientDataJSON) };
    ["attestationObject", "authenticatorData", "signature", "userHandle"].forEach(function (name) {
      if (credential.response[name]) {
        response[name] = toText(credential.response[name]);
      }
    });
    // What else extensions give may be no JSON.
    var properties = credential.getClientExtensionResults().credProps;
    return JSON.stringify({
      id: credential.id,
      rawId: toText(credential.rawId),
      type: credential.type,
      response: response,
      clientExtensionResults: properties ? { credProps: { rk: properties.rk } } : {},
    });
  };

  // Fields of the script's own: none twice, should the form be sent again.
  var added = [];
  var add = function (name, value) {
    var field = document.createElement("input");
    field.type = "hidden";
    field.name = name;
    field.value = value;
    form.appendChild(field);
    added.push(field);
  };
  var reset = function () {
    added.splice(0).forEach(function (field) {
      field.remove();
    });
    busy = false;
    button.removeAttribute("aria-disabled");
  };
  var send = function (credential) {
    reset();
    busy = true;
    form.elements.namedItem("credential").value = answered(credential);
    // What is checked beside the password counts here too.
    document.querySelectorAll("input[type=checkbox]:checked").forEach(function (box) {
      if (box.form !== form) {
        add(box.name, box.value);
      }
    });
    add(button.name, button.value);
    form.submit();
  };
  var say = function (text) {
    said.hidden = false;
    said.querySelector("p").textContent = text;
  };

  form.addEventListener("submit", function (event) {
    event.preventDefault();
    if (busy) {
      return;
    }
    if (quiet) {
      quiet.abort();
    }
    busy = true;
    button.setAttribute("aria-disabled", "true");
    said.hidden = true;
    var options = { publicKey: asked() };
    (makes ? navigator.credentials.create(options) : navigator.credentials.get(options)).then(send).catch(function (error) {
      reset();
      say(error.name === "InvalidStateError" ? said.dataset.held : said.dataset.failed);
    });
  });
  var show = function () {
    form.hidden = false;
    var needs = document.getElementById("passkey-needs");
    if (needs) {
      needs.hidden = true;
    }
  };
  // Who goes back to a page that was sent has a button there: what waited quietly is over.
  window.addEventListener("pageshow", function (event) {
    if (event.persisted) {
      reset();
      show();
    }
  });
  // The server takes none that is made later, and the device would keep it for nothing.
  if (form.dataset.seconds) {
    window.setTimeout(function () {
      form.hidden = true;
      say(said.dataset.late);
    }, Number(form.dataset.seconds) * 1000);
  }

  // What is no passkey of ours, or not any more, the browser may forget.
  var signal = function (name, what) {
    if (PublicKeyCredential[name]) {
      PublicKeyCredential[name](what).catch(function () {});
    }
  };
  var options = JSON.parse(form.dataset.options).publicKey;
  if (form.dataset.unknown) {
    var host = makes ? options.rp.id : options.rpId;
    signal("signalUnknownCredential", { rpId: host, credentialId: form.dataset.unknown });
  }
  if (makes && options.excludeCredentials.length > 0) {
    var kept = options.excludeCredentials.map(function (one) {
      return one.id;
    });
    signal("signalAllAcceptedCredentials", { rpId: options.rp.id, userId: options.user.id, allAcceptedCredentialIds: kept });
  }

  var names = document.getElementById("username");
  if (makes || !names || form.dataset.shows) {
    show();
  }
  if (makes || !names) {
    return;
  }
  if (PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable) {
    PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable().then(function (is) {
      var field = document.getElementById("makes-passkeys");
      if (is && field) {
        field.value = "yes";
      }
    });
  }
  if (!PublicKeyCredential.isConditionalMediationAvailable) {
    show();
    return;
  }
  PublicKeyCredential.isConditionalMediationAvailable().then(function (is) {
    if (!is) {
      show();
      return;
    }
    quiet = new AbortController();
    // Who types a password instead is told nothing.
    return navigator.credentials.get({ publicKey: asked(), mediation: "conditional", signal: quiet.signal }).then(send);
  }).catch(function (error) {
    if (error.name !== "AbortError") {
      reset();
      show();
    }
  });
})();
