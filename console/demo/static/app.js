"use strict";

const POLL_MS = 5000;
const RECONNECT_MS = [500, 1000, 2000, 5000];
const BOT_ID = /^BOT-[0-9]{3,}$/;
const TOKEN = "token";

const element = (id) => document.getElementById(id);
let token = sessionStorage.getItem(TOKEN) || "";
let bots = {};
let selected = "";
let socket = null;
let attempts = 0;
// Queries that were sent over the socket and are not answered yet: answers come in the order of the queries.
let waiting = [];
// Bots that were asked over REST and have not answered yet.
const asked = [];

class Refused extends Error {}

async function ask(method, path, body) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  let answer, document;
  try {
    answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
    document = await answer.json();
  } catch {
    throw new Refused("The controller does not answer");
  }
  if (answer.status === 401 && token) signOut("Sign in again");
  if (!document.success) throw new Refused(document.error || `The controller answered ${answer.status}`);
  return document;
}

// Sign-in

async function signIn(event) {
  event.preventDefault();
  element("signInMsg").textContent = "";
  try {
    const username = element("usernameInput").value, password = element("passwordInput").value;
    token = (await ask("POST", "/api/auth/login", { username, password })).token;
  } catch (problem) {
    element("signInMsg").textContent = problem.message;
    return;
  }
  element("passwordInput").value = "";
  sessionStorage.setItem(TOKEN, token);
  begin();
}

function signOut(why) {
  token = "";
  sessionStorage.removeItem(TOKEN);
  if (socket) socket.close();
  bots = {};
  select("");
  element("launchDialog").close();
  element("signInMsg").textContent = why;
  show();
}

function show() {
  element("signIn").hidden = Boolean(token);
  element("work").hidden = !token;
  element("signOutBtn").hidden = !token;
  element(token ? "launchBtn" : "usernameInput").focus();
}

function begin() {
  show();
  connect();
  refresh();
}

// The socket

function connect() {
  if (!token) return;
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const opened = new WebSocket(`${scheme}://${location.host}/ws?token=${encodeURIComponent(token)}`);
  socket = opened;
  opened.onopen = () => { attempts = 0; showConnection(true); };
  opened.onmessage = (message) => receive(JSON.parse(message.data));
  opened.onclose = () => {
    if (socket !== opened) return;
    socket = null;
    showConnection(false);
    for (const bot of waiting.splice(0)) say(bot, "error", "The connection was lost before the answer came");
    showTyping();
    const pause = RECONNECT_MS[Math.min(attempts++, RECONNECT_MS.length - 1)];
    if (token) setTimeout(() => { if (!socket) connect(); }, pause);
  };
}

function receive(message) {
  const bot = waiting.shift();
  const failed = message.type !== "response" || !message.success;
  say(message.bot_id || bot, failed ? "error" : "assistant", message.content || message.message || "");
  showTyping();
}

function showConnection(online) {
  const status = element("connectionStatus");
  status.textContent = online ? "Connected" : "Offline";
  status.className = online ? "online" : "offline";
}

// Bots

async function refresh() {
  if (!token) return;
  try {
    bots = (await ask("GET", "/api/bots/status")).bots;
  } catch (problem) {
    element("statusList").replaceChildren(line(problem.message, "down"));
    return;
  }
  if (selected && !bots[selected]) select("");
  showBots();
}

function showBots() {
  const ids = Object.keys(bots);
  element("selectedBotInfo").textContent =
    selected ? `${selected} (${bots[selected]?.status || "unknown"})` : "No bot selected";
  element("botList").replaceChildren(...ids.map((id) => {
    const item = document.createElement("li");
    item.classList.toggle("selected", id === selected);
    item.append(button("select", id, id), button("stop", id, "Stop"));
    return item;
  }));
  const lines = ids.map((id) => line(`${id}: ${bots[id].current_task || bots[id].status}`, bots[id].status));
  element("statusList").replaceChildren(...(lines.length ? lines : [line("No bots yet", "")]));
}

function line(text, kind) {
  const item = document.createElement("li");
  item.textContent = text;
  item.className = kind;
  return item;
}

function button(action, id, text) {
  const made = document.createElement("button");
  made.type = "button";
  made.dataset.action = action;
  made.dataset.botId = id;
  made.textContent = text;
  made.setAttribute("aria-label", `${action} ${id}`);
  return made;
}

async function act(event) {
  const { action, botId } = event.target.dataset;
  if (action === "select") await select(botId);
  if (action !== "stop" || !confirm(`Stop ${botId}?`)) return;
  try {
    await ask("POST", `/api/bot/stop/${encodeURIComponent(botId)}`);
  } catch (problem) {
    say(selected, "error", problem.message);
  }
  await refresh();
}

async function launch(event) {
  event.preventDefault();
  const bot_id = element("botIdInput").value.trim(), message = element("validationMsg");
  message.textContent = "";
  if (!BOT_ID.test(bot_id)) {
    message.textContent = "Use BOT- and three digits or more, as in BOT-001";
    return;
  }
  element("launchOkBtn").disabled = true;
  try {
    await ask("POST", "/api/bot/launch", { bot_id, bot_type: element("botTypeSelect").value });
  } catch (problem) {
    message.textContent = problem.message;
    return;
  } finally {
    element("launchOkBtn").disabled = false;
  }
  element("launchDialog").close();
  await refresh();
  await select(bot_id);
}

// Chat

async function select(bot) {
  selected = bot;
  element("chatInput").disabled = element("sendButton").disabled = !bot;
  element("chatInput").placeholder = bot ? `Message to ${bot}` : "Select a bot first";
  element("chatMessages").replaceChildren();
  showBots();
  showTyping();
  if (!bot) return;
  element("chatInput").focus();
  try {
    const history = await ask("GET", `/api/chat/history?limit=100&bot_id=${encodeURIComponent(bot)}`);
    if (selected !== bot) return;
    element("chatMessages").replaceChildren();
    for (const message of history.messages) say(bot, message.role, message.content);
  } catch (problem) {
    say(bot, "error", problem.message);
  }
}

function say(bot, kind, text) {
  if (!bot || bot !== selected) return;
  const made = document.createElement("p");
  made.className = kind;
  made.textContent = text;
  element("chatMessages").append(made);
  made.scrollIntoView({ block: "end" });
}

function showTyping() {
  element("typingIndicator").hidden = ![...waiting, ...asked].includes(selected);
}

async function send() {
  const bot = selected, text = element("chatInput").value.trim();
  if (!bot || !text) return;
  element("chatInput").value = "";
  say(bot, "user", text);
  if (socket && socket.readyState === WebSocket.OPEN) {
    waiting.push(bot);
    showTyping();
    socket.send(JSON.stringify({ type: "query", query: text, bot_id: bot }));
    return;
  }
  asked.push(bot);
  showTyping();
  try {
    const answer = await ask("POST", `/api/bot/${encodeURIComponent(bot)}/task`, { command: text });
    say(bot, "assistant", answer.response);
  } catch (problem) {
    say(bot, "error", problem.message);
  }
  asked.splice(asked.indexOf(bot), 1);
  showTyping();
}

element("signInForm").addEventListener("submit", signIn);
element("signOutBtn").addEventListener("click", () => signOut(""));
element("launchBtn").addEventListener("click", () => {
  element("validationMsg").textContent = "";
  element("launchDialog").showModal();
  element("botIdInput").focus();
});
element("launchCancelBtn").addEventListener("click", () => element("launchDialog").close());
element("launchForm").addEventListener("submit", launch);
element("botList").addEventListener("click", act);
element("sendButton").addEventListener("click", send);
element("chatInput").addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.isComposing) send(); });
setInterval(refresh, POLL_MS);
show();
if (token) begin();
