// A page is painted first. What makes it livelier is fetched meanwhile, and run once there is something to see.

const painted = new Promise((done) => {
  if (document.hidden || !PerformanceObserver.supportedEntryTypes.includes("paint")) done();
  new PerformanceObserver(done).observe({ type: "paint", buffered: true });
  document.addEventListener("visibilitychange", done, { once: true }); // what is not looked at is not painted
});
const loaded = new Promise((done) => {
  if (document.readyState === "complete") done();
  else addEventListener("load", done, { once: true });
});

await Promise.all([painted, loaded]);
for (const link of document.querySelectorAll("link[data-run]")) {
  const script = document.createElement("script");
  if (link.rel === "modulepreload") script.type = "module";
  script.async = false; // in the order of the page
  script.src = link.href;
  document.head.append(script);
}
