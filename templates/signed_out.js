// signed_out.js owns one act: going on as soon as every frame has loaded, so
// that every service has been told. The page's own refresh is for frames that
// take too long, and for browsers without script.
"use strict";

(function () {
  var way = document.getElementById("way_on");
  if (way) {
    window.addEventListener("load", function () {
      window.location.replace(way.href);
    });
  }
})();
