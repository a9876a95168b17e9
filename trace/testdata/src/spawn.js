// What child_process does: spawn, exec, execFile, fork, a kill, spawnSync.
const cp = require("child_process");
if (process.argv[2] === "child") { process.send("hi"); process.disconnect(); process.exit(3); }
cp.spawnSync("/bin/true");
cp.execSync("exit 0");
cp.exec("exit 4", () => {});
cp.execFile("/bin/false", () => {});
cp.spawn("/bin/sh", ["-c", "echo a | cat; exit 2"]).on("exit", (c) => console.log(c));
const long = cp.spawn("sleep", ["30"]);
setTimeout(() => long.kill(), 50);
cp.fork(__filename, ["child"]);
cp.spawn("sleep", ["0.05"], { detached: true }).unref();
