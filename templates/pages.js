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

  // A browser that hands an answer over to an app stays on the page that sent it. After a moment, as the next page may be on its
  // way instead.
  var back = document.getElementById("back_to_app");
  if (back) {
    document.addEventListener("submit", function (event) {
      window.setTimeout(function () {
        event.target.hidden = true;
        document.getElementById("return").hidden = true;
        back.hidden = false;
      }, 700);
    });
  }
})();
