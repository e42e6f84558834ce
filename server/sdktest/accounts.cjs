// Does with SignalWire's own client what its users do with accounts, and prints what it got as JSON. The Space, which may have
// a port, the project and the token come from the environment, as in a user's program.
const { RestClient } = require('@signalwire/compatibility-api');

const { SIGNALWIRE_PROJECT_ID: project, SIGNALWIRE_API_TOKEN: token, SIGNALWIRE_SPACE_URL: space } = process.env;
const client = RestClient(project, token, { signalwireSpaceUrl: space });

const account = ({ sid, friendlyName, ownerAccountSid, status, type, dateCreated }) =>
  ({ sid, friendlyName, ownerAccountSid, status, type, dateCreated: dateCreated.toISOString() });

// refusal returns what the client throws, in the form in which users compare it.
const refusal = (promise) => promise.then(
  () => ({ succeeded: true }),
  ({ status, code, message }) => ({ status, code, message }),
);

async function main() {
  const own = await client.api.accounts(project).fetch();
  const created = [];
  for (const name of ['Branch 1', 'Branch 2', 'Branch 3']) {
    created.push(await client.api.accounts.create({ friendlyName: name }));
  }
  const fetched = await client.api.accounts(created[0].sid).fetch();
  const renamed = await client.api.accounts(created[0].sid).update({ friendlyName: 'Renamed & more' });
  const listed = await client.api.accounts.list({ pageSize: 2 }); // follows next_page_uri
  const named = await client.api.accounts.list({ friendlyName: 'Branch 2' });
  const firstPage = await client.api.accounts.page({ pageSize: 2 });
  const secondPage = await firstPage.nextPage();
  const backAgain = await secondPage.previousPage();
  const stranger = RestClient(project, token.replace(/.$/, (digit) => (digit === '0' ? '1' : '0')), { signalwireSpaceUrl: space });
  return {
    own: account(own),
    created: created.map(account),
    fetched: account(fetched),
    renamed: account(renamed),
    listed: listed.map(account),
    named: named.map(account),
    backAgain: backAgain.instances.map(account),
    refusals: {
      blank: await refusal(client.api.accounts.create({ friendlyName: ' ' })),
      unknown: await refusal(client.api.accounts('7a1d5f0e-2c57-4f0e-8d0b-3a6f2f0c9b42').fetch()),
      credential: await refusal(stranger.api.accounts.list()),
    },
  };
}

main().then(
  (result) => process.stdout.write(JSON.stringify(result)),
  (error) => { process.stderr.write(`${error.stack}\n`); process.exitCode = 1; },
);
