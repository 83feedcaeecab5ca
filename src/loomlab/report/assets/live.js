// Served by `loom dash`, the page asks for newer data; opened as a file, it stays as written.
const ASK_EVERY = 2000; // milliseconds

async function ask() {
  const answer = await fetch("data?since=" + (page.data.stamp || ""), {cache: "no-store"});
  if (answer.status === 200) take(await answer.json());
}

function startLive() {
  if (!location.protocol.startsWith("http")) return;
  const badge = make("span", {className: "badge"});
  $("title").after(badge);
  const say = (text, state) => Object.assign(badge, {textContent: text, className: "badge " + state});
  const again = async () => {
    try {
      if (!document.hidden) await ask();
      say("live", "running");
    } catch (error) {
      say("loom dash has ended: this stays as it was", "interrupted");
    }
    setTimeout(again, ASK_EVERY);
  };
  again();
}
