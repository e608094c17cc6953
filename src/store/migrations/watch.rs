//! What a running node left undone of the admin's files, looked at again every few seconds, so that it is well again without
//! a restart once an operator has fixed it.

use super::{Applied, Failed, Fault, File, Migrations, Plan};
use crate::store::StoreError;
use crate::store::db::Db;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Names, sizes and times of the folder: as long as they are the same, no file was edited.
type Look = BTreeMap<OsString, (u64, Option<SystemTime>)>;

/// What the start left undone.
enum Left {
    Nothing,
    Failed(Box<Failed>),
    Locked(Vec<File>),
}

/// The files of a running node.
pub struct Watch {
    folder: Option<PathBuf>,
    left: Left,
    /// The folder as it was when nothing was wrong.
    well: Mutex<Option<Look>>,
}

impl Watch {
    /// After a start that came to this.
    #[must_use]
    pub fn new(folder: Option<PathBuf>, applied: Option<Applied>, plan: &Plan) -> Self {
        let left = match applied {
            Some(Applied { failed: Some(failed), .. }) => Left::Failed(Box::new(failed)),
            Some(_) => Left::Nothing,
            None if plan.pending.is_empty() => Left::Nothing,
            None => Left::Locked(plan.pending.clone()),
        };
        Self { folder, left, well: Mutex::new(None) }
    }

    /// What is wrong now; nothing is read again where nothing was wrong and the folder was not touched since.
    ///
    /// # Errors
    /// The database failed.
    pub async fn look(&self, db: &Db) -> Result<Vec<Fault>, StoreError> {
        let folder = self.folder.clone();
        let look = tokio::task::spawn_blocking(move || folder.and_then(look_at)).await.ok().flatten();
        if look.is_some() && *self.well.lock().unwrap_or_else(PoisonError::into_inner) == look {
            return Ok(Vec::new());
        }
        let migrations = Migrations::read(self.folder.as_deref()).await?;
        let plan = migrations.plan(db).await?;
        let mut faults = plan.warnings();
        faults.extend(self.left_undone(&migrations, &plan));
        *self.well.lock().unwrap_or_else(PoisonError::into_inner) = look.filter(|_| faults.is_empty());
        Ok(faults)
    }

    /// What the start left undone and is undone still.
    fn left_undone(&self, migrations: &Migrations, plan: &Plan) -> Option<Fault> {
        let waits = |file: &File| plan.pending.iter().any(|pending| pending.version == file.version);
        match &self.left {
            Left::Nothing => None,
            Left::Failed(failed) => {
                let Failed { file, fault, checksum } = &**failed;
                if !waits(file) {
                    return None;
                }
                let behind = plan.pending.iter().filter(|pending| pending.version > file.version).count();
                let is_changed =
                    migrations.folder.migration(file.version).is_none_or(|now| now.checksum != checksum.as_slice());
                let mut fault = fault.clone();
                if is_changed {
                    fault = Fault::new(
                        &file.name,
                        "it failed when it was applied and was changed since",
                        "`hallpass migrate` applies it",
                    );
                }
                if behind > 0 {
                    fault.why = format!("{}; {behind} more wait for it", fault.why);
                }
                Some(fault)
            }
            Left::Locked(files) => {
                let first = files.iter().find(|file| waits(file))?;
                Some(Fault::new(
                    &first.name,
                    "it is not applied, as another process held the lock of the migrations for 5 seconds at the start",
                    "`hallpass migrate` applies it",
                ))
            }
        }
    }
}

/// `None` where it cannot be read.
fn look_at(folder: PathBuf) -> Option<Look> {
    let entries = std::fs::read_dir(folder).ok()?;
    entries
        .map(|entry| {
            let entry = entry.ok()?;
            // What a name leads to: a mounted file is often a link.
            let metadata = std::fs::metadata(entry.path()).ok()?;
            Some((entry.file_name(), (metadata.len(), metadata.modified().ok())))
        })
        .collect()
}
