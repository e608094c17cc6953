// signed_out.js owns one act, done once: continuing as soon as every frame has
// loaded, so that every service has been told, and after three seconds at most.
// The page's own refresh is for browsers without script only.
"use strict";

(function () {
  var way = document.getElementById("way_on");
  var gone = false;
  if (!way) {
    return;
  }
  function goOn() {
    if (!gone) {
      gone = true;
      window.location.replace(way.href);
    }
  }
  // A person who follows the link is on the way already.
  way.addEventListener("click", function () {
    gone = true;
  });
  window.addEventListener("load", goOn);
  window.setTimeout(goOn, 3000);
})();
