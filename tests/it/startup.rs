//! What a service makes sure of before it serves.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::process::Command;

use crate::service::{PATIENCE, Service};
use crate::training::small_rbm;

/// Two would sweep away each other's uploads.
#[tokio::test]
async fn a_data_directory_has_one_service() {
    let service = Service::start(&["--workers", "0"]).await;
    for gone in [false, true] {
        if gone {
            // As a cleaner of old files does.
            fs::remove_file(service.data_dir().join("serve.lock")).expect("it is there");
        }
        let told = refused(&[], &service.data_dir()).await;
        assert!(
            told.contains("another latentd serves the data directory"),
            "{told}"
        );
    }
    service.get("/readyz").await.expect(200);
}

/// What a start that comes to nothing says.
async fn refused(launcher: &[&str], data_dir: &Path) -> String {
    let binary = [env!("CARGO_BIN_EXE_latentd")];
    let mut words = launcher.iter().chain(&binary);
    let mut command = Command::new(words.next().expect("the binary, at least"));
    command
        .args(words)
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log",
            "error",
            "--data-dir",
        ])
        .arg(data_dir)
        .kill_on_drop(true);
    let ended = tokio::time::timeout(PATIENCE, command.output()).await;
    let ended = ended.expect("it ends").expect("it runs");
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    told
}

/// A user who owns nothing but what this test makes, and may override no mode: root without the right to.
const PLAIN: [&str; 2] = [
    "setpriv",
    "--bounding-set=-dac_override,-dac_read_search,-fowner",
];
/// A user, and another.
const ANOTHER: u32 = 12345;

fn plain_with(umask: &str) -> Vec<String> {
    let shell = format!("umask {umask}; exec \"$0\" \"$@\"");
    let words = PLAIN.into_iter().chain(["sh", "-c", &shell]);
    words.map(str::to_owned).collect()
}

/// Whether there are such users here.
fn can_be_plain() -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    if chown(folder.path(), Some(ANOTHER), None).is_err() {
        return false;
    }
    set_mode(folder.path(), 0o755);
    let file = folder.path().join("file");
    let tried = std::process::Command::new(PLAIN[0])
        .args(&PLAIN[1..])
        .arg("touch")
        .arg(file)
        .output();
    tried.is_ok_and(|tried| !tried.status.success())
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").mode() & 0o777
}

/// Everything below and the folder itself.
fn all(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(all(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Uploads, trains and deletes: every folder and file there is, is written.
async fn use_all(service: &Service) {
    let builtin = json!({"name": "digits", "builtin": "digits"});
    service.post("/v1/datasets", &builtin).await.ok(201);
    service.train(&small_rbm("a")).await;
}

#[tokio::test]
async fn what_is_made_is_the_owners_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data");
    let launcher = ["sh", "-c", "umask 0022; exec \"$0\" \"$@\""];
    let mut service = Service::start_by(&launcher, &["--workers", "1"], &data_dir).await;
    use_all(&service).await;
    for path in all(&data_dir) {
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), wanted, "{}", path.display());
    }
    // As an earlier version left it.
    service.terminate();
    service.ended(PATIENCE).await;
    set_mode(&data_dir.join("latentd.db"), 0o644);
    service.restart().await;
    assert_eq!(mode(&data_dir.join("latentd.db")), 0o600);
}

/// Platforms that run containers under a number of their choosing, in group 0, change it at an upgrade.
#[tokio::test]
async fn another_user_of_the_group_goes_on_where_the_group_may_write() {
    if !can_be_plain() {
        println!("SKIPPED: setpriv, or the right to change owners, is missing");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data");
    fs::create_dir(&data_dir).expect("a folder");
    set_mode(&data_dir, 0o2770);
    let launcher = plain_with("0002");
    let launcher: Vec<&str> = launcher.iter().map(String::as_str).collect();
    let mut service = Service::start_by(&launcher, &["--workers", "1"], &data_dir).await;
    use_all(&service).await;
    service.terminate();
    service.ended(PATIENCE).await;
    for path in all(&data_dir) {
        chown(&path, Some(ANOTHER), Some(0)).expect("it can be given away");
    }
    service.restart().await;
    service.delete("/v1/models/a").await.expect(204);
    service.delete("/v1/datasets/digits").await.expect(204);
    use_all(&service).await;
    service.terminate();
    service.ended(PATIENCE).await;

    // The umask of the user before was another: each thing by itself would be found out by the first write to it.
    for spoilt in ["latentd.db", "artifacts", "datasets", "serve.lock"] {
        let path = data_dir.join(spoilt);
        let before = mode(&path);
        set_mode(&path, before & !0o022);
        chown(&path, Some(ANOTHER), Some(0)).expect("it can be given away");
        let told = refused(&launcher, &data_dir).await;
        assert!(told.contains(&format!("{}: ", path.display())), "{told}");
        set_mode(&path, before);
    }
    let within = fs::read_dir(data_dir.join("artifacts")).expect("a folder");
    let within = within
        .flatten()
        .next()
        .expect("an artifact's folder")
        .path();
    set_mode(&within, 0o755);
    chown(&within, Some(ANOTHER), Some(0)).expect("it can be given away");
    let told = refused(&launcher, &data_dir).await;
    assert!(
        told.contains(&format!("{}: cannot be written to", within.display())),
        "{told}"
    );
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_written_to_is_refused_at_the_start() {
    if !can_be_plain() {
        println!("SKIPPED: setpriv, or the right to change owners, is missing");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let fresh = |name: &str, mode: u32, owner: u32| {
        let path = folder.path().join(name);
        fs::create_dir(&path).expect("a folder");
        set_mode(&path, mode);
        chown(&path, Some(owner), Some(owner)).expect("it can be given away");
        path
    };
    let locked = fresh("locked", 0o555, 0);
    let strangers = fresh("strangers", 0o750, ANOTHER);
    let read_only = fresh("read-only", 0o755, 0);
    File::create(read_only.join("latentd.db")).expect("a file");
    set_mode(&read_only.join("latentd.db"), 0o444);
    let file = folder.path().join("file");
    File::create(&file).expect("a file");
    let dangling = folder.path().join("dangling");
    symlink("/nowhere/at/all", &dangling).expect("a link");
    let wanted = [
        (locked.clone(), locked, "no file can be made in it"),
        (strangers.clone(), strangers, "no file can be made in it"),
        (
            read_only.clone(),
            read_only.join("latentd.db"),
            "cannot be written to",
        ),
        (
            file.clone(),
            file.clone(),
            "is a file and should be a folder",
        ),
        (file.join("below"), file.join("below"), "cannot be made"),
        (dangling.clone(), dangling, "cannot be made"),
    ];
    for (data_dir, path, reason) in wanted {
        let told = refused(&PLAIN, &data_dir).await;
        let wanted = format!("{}: {reason}", path.display());
        assert!(told.contains(&wanted), "{told} does not say {wanted}");
    }
}

/// Two kinds: what is no database, and one that lacks its second half.
#[tokio::test]
async fn a_damaged_database_is_named_with_what_may_help() {
    let mut service = Service::with_digits(&["--workers", "0"]).await;
    service.terminate();
    service.ended(PATIENCE).await;
    let file = service.data_dir().join("latentd.db");
    let sound = fs::read(&file).expect("the database");
    let mut holed = sound.clone();
    // The first page alone is whole.
    holed[4096..].fill(0x55);
    for damaged in [b"this is no database".repeat(100), holed] {
        fs::write(&file, &damaged).expect("it can be written");
        let told = refused(&[], &service.data_dir()).await;
        let wanted = format!("{}: the database is damaged", file.display());
        assert!(told.contains(&wanted), "{told}");
        assert!(told.contains("Put a backup in its place"), "{told}");
    }
    fs::write(&file, &sound).expect("from a backup");
    service.restart().await;
    service.get("/v1/datasets/digits").await.expect(200);
}
