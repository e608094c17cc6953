// pages.js owns what a script adds to the login and the consent page. Without it they work all the same: a password that is
// not shown, times in UTC, and a consent page that stays as it is when an app takes over.
"use strict";

(function () {
  var password = document.getElementById("password");
  var reveal = document.getElementById("reveal");
  if (password && reveal) {
    var words = [
      { text: reveal.textContent, label: reveal.getAttribute("aria-label") },
      { text: reveal.dataset.text, label: reveal.dataset.label },
    ];
    var show = function (shown) {
      password.type = shown ? "text" : "password";
      reveal.textContent = words[shown ? 1 : 0].text;
      reveal.setAttribute("aria-label", words[shown ? 1 : 0].label);
    };
    reveal.hidden = false;
    reveal.addEventListener("click", function () {
      show(password.type === "password");
      password.focus();
    });
    // Hidden before it is sent: browsers keep as passwords what is in a field for passwords.
    password.form.addEventListener("submit", function () {
      show(false);
    });
  }

  // Times of day in the time zone of this browser, which it tells no server.
  document.querySelectorAll("time[datetime]").forEach(function (time) {
    var at = new Date(time.getAttribute("datetime"));
    if (!isNaN(at)) {
      time.textContent = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    }
  });

  // A browser that hands an answer over to an app stays on the page that sent it. That the app came to the front is seen by this
  // page losing the focus; where it does not, it is said a good deal later. Another page that comes instead takes this one away,
  // and a user who goes back to it finds it as it was.
  var back = document.getElementById("back_to_app");
  if (back) {
    var allowed = false;
    var timer;
    var tell = function () {
      back.hidden = !allowed;
    };
    document.addEventListener("submit", function (event) {
      allowed = Boolean(event.submitter) && event.submitter.value === "allow";
      window.clearTimeout(timer);
      if (allowed) {
        timer = window.setTimeout(tell, 10000);
      }
    });
    window.addEventListener("blur", tell);
    document.addEventListener("visibilitychange", tell);
    window.addEventListener("pageshow", function () {
      allowed = false;
      window.clearTimeout(timer);
      tell();
    });
  }
})();
