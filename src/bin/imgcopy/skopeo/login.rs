//! `skopeo login` and `logout`.

use std::process::ExitCode;

use imgcopy::image::Repository;
use imgcopy::store::registry::credentials::{Credential, Keyring, Scope, Secret};

use super::options::{LoginArgs, LogoutArgs};
use super::told::{Ended, Fatal};
use crate::commands::Failure;
use crate::login::{self, not_logged_in};
use crate::reach::{keyring, password_of_stdin};
use crate::render;

impl From<Failure> for Fatal {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Usage(error) | Failure::Failed(error) => error.into(),
        }
    }
}

pub(super) async fn login(args: LoginArgs) -> Ended {
    let scope = registry(&args.registries, "please provide a registry to login to")?;
    let keyring = keyring(args.authfile.clone());
    if args.get_login {
        let user = keyring.get_login(&scope).await?;
        let user = user.ok_or_else(|| not_logged_in(&scope))?;
        return Ok(render::line(&user.escape_debug()));
    }
    let says_nothing = args.username.is_none() && args.password.is_none() && !args.password_stdin;
    if says_nothing && let Some(code) = already(&args, &scope, &keyring).await? {
        return Ok(code);
    }
    let credential = typed(&args).await?;
    let (tls_verify, cert_dir) = (args.tls_verify, args.cert_dir.clone());
    login::check(&scope, &credential, tls_verify, cert_dir).await?;
    let kept = keyring.store(&scope, &credential).await?;
    if args.verbose {
        render::line(&format!("Used:  {kept}"));
    }
    Ok(render::line(&"Login Succeeded!"))
}

/// Whether the credentials that are there are taken; then nothing is asked for.
async fn already(
    args: &LoginArgs,
    scope: &Scope,
    keyring: &Keyring,
) -> Result<Option<ExitCode>, Fatal> {
    // Any path does to ask for a whole registry.
    let below = match scope.is_whole_registry() {
        true => "any",
        false => scope.path(),
    };
    let repository = Repository::new(scope.registry(), below)?;
    let Some(known) = keyring.find(&repository).await? else {
        return Ok(None);
    };
    render::line(&format!(
        "Authenticating with existing credentials for {scope}"
    ));
    let (tls_verify, cert_dir) = (args.tls_verify, args.cert_dir.clone());
    let taken = login::check(scope, &known, tls_verify, cert_dir).await;
    if taken.is_err() {
        render::line(&"Existing credentials are invalid, please enter valid username and password");
        return Ok(None);
    }
    let told = format!("Existing credentials are valid. Already logged in to {scope}");
    Ok(Some(render::line(&told)))
}

async fn typed(args: &LoginArgs) -> Result<Credential, Fatal> {
    let wrong = |error| Fatal::of("getting username and password", &error);
    if args.password_stdin && args.password.is_some() {
        return Err(Fatal::new(
            "Can't specify both --password-stdin and --password",
        ));
    }
    if args.password_stdin && args.username.is_none() {
        return Err(Fatal::new("Must provide --username with --password-stdin"));
    }
    let username = match &args.username {
        Some(username) => username.clone(),
        None => login::typed_username().await.map_err(wrong)?,
    };
    let password = match &args.password {
        Some(password) => Secret::new(password),
        None if args.password_stdin => password_of_stdin().map_err(wrong)?,
        None => login::typed_password().await.map_err(wrong)?,
    };
    Ok(Credential::basic(&username, password.reveal())?)
}

pub(super) async fn logout(args: LogoutArgs) -> Ended {
    let keyring = keyring(args.authfile);
    if args.all {
        keyring.erase_all().await?;
        return Ok(render::line(
            &"Removed login credentials for all registries",
        ));
    }
    let scope = registry(&args.registries, "please provide a registry to logout from")?;
    match keyring.erase(&scope).await? {
        Some(_) => Ok(render::line(&format!(
            "Removed login credentials for {scope}"
        ))),
        None => Err(not_logged_in(&scope).into()),
    }
}

fn registry(typed: &[String], missing: &str) -> Result<Scope, Fatal> {
    match typed {
        [registry] => Ok(registry.trim_start_matches("https://").parse()?),
        [] => Err(Fatal::new(missing)),
        _ => Err(Fatal::new("login accepts only one registry to login to")),
    }
}
