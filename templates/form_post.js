// form_post.js owns one act: sending the form of form_post.html by itself.
// A hidden field may be called "submit" and would shadow form.submit, so the
// method is taken from the prototype.
"use strict";

(function () {
  var form = document.getElementById("form_post");
  if (form) {
    HTMLFormElement.prototype.submit.call(form);
  }
})();
