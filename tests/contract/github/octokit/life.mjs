// The life of one pull request, driven by GitHub's own client. Reads a job as JSON on standard
// input, writes what it saw as JSON on standard output.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createAppAuth } from "@octokit/auth-app";
import { Octokit } from "@octokit/rest";
import { verify } from "@octokit/webhooks-methods";

const job = JSON.parse(readFileSync(0, "utf8"));
const at = { owner: job.owner, repo: job.repo };
const seen = {};

function app(key) {
  return new Octokit({
    baseUrl: job.api,
    authStrategy: createAppAuth,
    auth: { appId: key.id, privateKey: key.pem },
  });
}

// App statement -> installation -> token, by octokit's own flow.
async function installed(key) {
  const itself = app(key);
  const { data: about } = await itself.apps.getAuthenticated();
  const { data: installation } = await itself.apps.getRepoInstallation(at);
  const client = new Octokit({
    baseUrl: job.api,
    authStrategy: createAppAuth,
    auth: { appId: key.id, privateKey: key.pem, installationId: installation.id },
  });
  const { token } = await client.auth({ type: "installation", repositoryNames: [job.repo] });
  return { client, slug: about.slug, token };
}

function git(folder, token, ...words) {
  const pair = Buffer.from(`x-access-token:${token}`).toString("base64");
  return execFileSync("git", words, {
    cwd: folder,
    encoding: "utf8",
    env: {
      PATH: process.env.PATH,
      HOME: folder,
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_TERMINAL_PROMPT: "0",
      GIT_AUTHOR_NAME: "A", GIT_AUTHOR_EMAIL: "a@example.org",
      GIT_COMMITTER_NAME: "A", GIT_COMMITTER_EMAIL: "a@example.org",
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: `http.${job.server}/.extraHeader`,
      GIT_CONFIG_VALUE_0: `Authorization: Basic ${pair}`,
    },
  }).trim();
}

function commit(folder, token, content) {
  writeFileSync(join(folder, "a.txt"), content);
  git(folder, token, "add", "--all");
  git(folder, token, "commit", "--quiet", "--message", "change");
  return git(folder, token, "rev-parse", "HEAD");
}

async function status(call) {
  try {
    return (await call).status;
  } catch (error) {
    return error.status;
  }
}

const operator = new Octokit({ baseUrl: job.api, auth: job.operatorToken });
const { data: made } = await operator.repos.createForAuthenticatedUser({ name: job.repo });
seen.repository = made.full_name;
await operator.repos.createWebhook({
  ...at, events: ["pull_request"], config: { url: job.hook, secret: job.secret, content_type: "json" },
});

const folder = join(job.folder, "work");
mkdirSync(folder);
git(folder, job.operatorToken, "init", "--quiet", "--initial-branch=main");
git(folder, job.operatorToken, "remote", "add", "origin", made.clone_url);
commit(folder, job.operatorToken, "one\n");
git(folder, job.operatorToken, "push", "--quiet", "origin", "HEAD:refs/heads/main");
await operator.repos.createRepoRuleset({
  ...at, name: "verdict", enforcement: "active",
  conditions: { ref_name: { include: ["~DEFAULT_BRANCH"], exclude: [] } },
  rules: [{
    type: "required_status_checks",
    parameters: {
      strict_required_status_checks_policy: false,
      required_status_checks: [{ context: "pressplay/verdict", integration_id: job.approver.id }],
    },
  }],
});

const { data: issue } = await operator.issues.create({ ...at, title: "Please", labels: ["pressplay"] });
const rex = await installed(job.app);
const approver = await installed(job.approver);
seen.apps = [rex.slug, approver.slug];
for (let number = 0; number < 35; number += 1) {
  await rex.client.issues.createComment({ ...at, issue_number: issue.number, body: `${number}` });
}
const thread = await rex.client.paginate(rex.client.issues.listComments, {
  ...at, issue_number: issue.number, per_page: 10,
});
seen.thread = thread.map((comment) => comment.body);
seen.author = thread[0].user.login;

const head = commit(folder, rex.token, "two\n");
git(folder, rex.token, "push", "--quiet", "origin", "HEAD:refs/heads/pressplay/issue-1");
const { data: pull } = await rex.client.pulls.create({
  ...at, head: "pressplay/issue-1", base: "main", title: "Done", body: `Closes #${issue.number}`,
});
const number = { ...at, pull_number: pull.number };
seen.head = pull.head.sha === head;
seen.rules = (await rex.client.repos.getBranchRules({ ...at, branch: "main" })).data.map((it) => it.type);
seen.before = (await rex.client.pulls.get(number)).data.mergeable_state;
const { data: check } = await approver.client.checks.create({
  ...at, name: "pressplay/verdict", head_sha: head, status: "in_progress", external_id: "run",
});
await approver.client.checks.update({
  ...at, check_run_id: check.id, status: "completed", conclusion: "success",
  output: { title: "Every gate passed", summary: "all of them" },
});
const review = { ...number, commit_id: head, event: "APPROVE" };
seen.own = await status(rex.client.pulls.createReview(review));
seen.review = (await approver.client.pulls.createReview({ ...review, body: "ok" })).data.state;
seen.checks = (await approver.client.checks.listForRef({ ...at, ref: head })).data.check_runs.map(
  (it) => [it.name, it.app.slug, it.conclusion],
);
seen.after = (await rex.client.pulls.get(number)).data.mergeable_state;
seen.merge = await status(rex.client.pulls.merge(number));
seen.moved = await status(rex.client.git.updateRef({ ...at, ref: "heads/main", sha: head }));
seen.graphql = await status(rex.client.graphql("{ viewer { login } }"));
seen.merged = (await operator.pulls.merge({ ...number, sha: head })).data.merged;
seen.files = Buffer.from(
  (await operator.repos.getContent({ ...at, path: "a.txt" })).data.content, "base64",
).toString();
seen.state = (await rex.client.pulls.get(number)).data.state;
const { data: hooks } = await operator.repos.listWebhooks(at);
const { data: deliveries } = await operator.repos.listWebhookDeliveries({ ...at, hook_id: hooks[0].id });
seen.deliveries = deliveries.map((it) => [it.event, it.action]).reverse();
const last = (await operator.repos.getWebhookDelivery({
  ...at, hook_id: hooks[0].id, delivery_id: deliveries[0].id,
})).data;
seen.signed = await verify(
  job.secret, JSON.stringify(last.request.payload), last.request.headers["X-Hub-Signature-256"],
);
process.stdout.write(JSON.stringify(seen));
