// Keeps the page alive: puts in what the server renders, lets ages grow, and says when it hears nothing.
(function () {
  "use strict";
  var SILENT = 20, AGAIN = 10;
  var body = document.body, lost = document.getElementById("lost"), updated = document.getElementById("updated");
  var formats = JSON.parse(body.getAttribute("data-formats"));
  var address = "?lang=" + body.getAttribute("data-lang");
  var spans = [["d", 86400], ["h", 3600], ["m", 60]];
  var offset = Number(body.getAttribute("data-now")) - clock();
  var heard = clock(), source = null, retry = 0;

  function clock() { return performance.now() / 1000; }

  function say(kind, seconds) {
    for (var i = 0; i < spans.length; i++) {
      if (seconds >= spans[i][1]) {
        return formats[kind][spans[i][0]].replace("{n}", Math.floor(seconds / spans[i][1]));
      }
    }
    return formats[kind].s.replace("{n}", Math.floor(seconds));
  }

  function grow(within) {
    var times = within.querySelectorAll("time[data-at]");
    for (var i = 0; i < times.length; i++) {
      var age = Math.max(0, offset + clock() - Number(times[i].getAttribute("data-at")));
      var text = say(times[i].hasAttribute("data-span") ? "span" : "ago", age);
      if (times[i].textContent !== text) { times[i].textContent = text; }
    }
  }

  function put(id, html) {
    if (id === "title") { document.title = html.replace(/<[^>]*>/g, "").trim(); return; }
    var place = document.getElementById(id);
    if (!place) { return; }
    var open = place.querySelectorAll("details[open]"), ids = [], i;
    for (i = 0; i < open.length; i++) { ids.push(open[i].id); }
    var focused = place.contains(document.activeElement) && document.activeElement.parentNode.id;
    place.innerHTML = html;
    for (i = 0; i < ids.length; i++) {
      var again = document.getElementById(ids[i]);
      if (again) { again.open = true; }
    }
    var back = focused && document.getElementById(focused);
    if (back && back.firstElementChild) { back.firstElementChild.focus(); }
    grow(place);
  }

  // Nothing but the ages of a part has changed: its times, in their order.
  function age(id, ages) {
    var place = document.getElementById(id), times = place ? place.querySelectorAll("time[data-at]") : [];
    for (var i = 0; i < times.length && i < ages.length; i++) { times[i].setAttribute("data-at", ages[i]); }
    if (place) { grow(place); }
  }

  function take(text) {
    var state = JSON.parse(text);
    offset = state.now - clock();
    heard = clock();
    updated.setAttribute("data-at", state.now);
    for (var id in state.parts) { put(id, state.parts[id]); }
    for (id in state.ages) { age(id, state.ages[id]); }
    lost.hidden = true;
  }

  // The server keeps few streams; a page that found none free asks from time to time.
  function ask() {
    var request = new XMLHttpRequest();
    request.onload = function () { if (request.status === 200) { take(request.responseText); } };
    request.open("GET", "/parts" + address);
    request.send();
  }

  function listen() {
    clearTimeout(retry);
    if (source) { source.close(); }
    source = new EventSource("/events" + address);
    source.addEventListener("state", function (event) { take(event.data); });
    source.onerror = function () {
      if (source.readyState === 2) { ask(); retry = setTimeout(listen, AGAIN * 1000); }
    };
  }

  // A phone in a pocket must not hold a stream.
  document.addEventListener("visibilitychange", function () {
    clearTimeout(retry);
    if (document.hidden) { source.close(); } else { listen(); }
  });

  setInterval(function () {
    grow(document);
    lost.hidden = document.hidden || clock() - heard < SILENT;
  }, 1000);
  listen();
})();
